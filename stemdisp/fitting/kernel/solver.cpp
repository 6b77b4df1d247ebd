#include "solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace stemdisp {
namespace {

constexpr int PART = 2048;  // elements summed before partial sums are added: the same whatever the number of threads
constexpr double SINGULAR = 1e-12;

// Inverse of a symmetric 3 x 3 matrix of which rows may be held (then 0); false where it is singular.
void invert(const double* a, const unsigned char* free, double damping, double* inverse) {
    double m[9];
    for (int i = 0; i < 9; ++i) m[i] = a[i];
    for (int i = 0; i < 3; ++i) {
        m[4 * i] *= 1 + damping + SINGULAR;
        if (!free[i] || !(m[4 * i] > 0)) {
            for (int j = 0; j < 3; ++j) m[3 * i + j] = m[3 * j + i] = 0;
            m[4 * i] = 1;
        }
    }
    const double c0 = m[4] * m[8] - m[5] * m[7], c1 = m[5] * m[6] - m[3] * m[8], c2 = m[3] * m[7] - m[4] * m[6];
    const double det = m[0] * c0 + m[1] * c1 + m[2] * c2, scale = m[0] * m[4] * m[8];
    if (!(det > SINGULAR * scale)) {
        for (int i = 0; i < 9; ++i) inverse[i] = 0;
        for (int i = 0; i < 3; ++i) inverse[4 * i] = free[i] ? 1 / m[4 * i] : 0;
        return;
    }
    inverse[0] = c0 / det;
    inverse[1] = inverse[3] = c1 / det;
    inverse[2] = inverse[6] = c2 / det;
    inverse[4] = (m[0] * m[8] - m[2] * m[6]) / det;
    inverse[5] = inverse[7] = (m[2] * m[3] - m[0] * m[5]) / det;
    inverse[8] = (m[0] * m[4] - m[1] * m[3]) / det;
    for (int i = 0; i < 3; ++i)
        if (!free[i] || !(a[4 * i] > 0))
            for (int j = 0; j < 3; ++j) inverse[3 * i + j] = inverse[3 * j + i] = 0;
}

// In place Cholesky factor (lower) of a dense symmetric matrix; false where it is not positive definite.
bool factorise(double* a, int n) {
    for (int j = 0; j < n; ++j) {
        double d = a[j * n + j];
        for (int k = 0; k < j; ++k) d -= a[j * n + k] * a[j * n + k];
        if (!(d > 0)) return false;
        const double root = std::sqrt(d);
        a[j * n + j] = root;
        for (int i = j + 1; i < n; ++i) {
            double v = a[i * n + j];
            for (int k = 0; k < j; ++k) v -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = v / root;
        }
    }
    return true;
}

void backsolve(const double* a, int n, double* x) {
    for (int i = 0; i < n; ++i) {
        for (int k = 0; k < i; ++k) x[i] -= a[i * n + k] * x[k];
        x[i] /= a[i * n + i];
    }
    for (int i = n - 1; i >= 0; --i) {
        for (int k = i + 1; k < n; ++k) x[i] -= a[k * n + i] * x[k];
        x[i] /= a[i * n + i];
    }
}

class Solver {
  public:
    Solver(const System& system, const Share& share_)
        : s(system), share(share_), size(3 * system.elements), inverse(9 * system.elements), full(size), corner(0) {
        share(s.elements, [&](int a, int b) {
            for (int e = a; e < b; ++e) invert(s.block + 9 * s.own[e], s.free + 3 * e, s.damping, &inverse[9 * e]);
        });
        corner.assign(s.corner, s.corner + s.shared * s.shared);
        for (int i = 0; i < s.shared; ++i) corner[i * s.shared + i] *= 1 + s.damping + 1e-9;
        factor = corner;
        if (s.shared && !factorise(factor.data(), s.shared)) {
            factor.assign(s.shared * s.shared, 0.0);
            for (int i = 0; i < s.shared; ++i) {
                const double d = corner[i * s.shared + i];
                factor[i * s.shared + i] = d > 0 ? std::sqrt(d) : 1.0;
            }
        }
    }

    // Sum over elements of what `term` gives for parts of them, in one order.
    template <class Term>
    double sum(const Term& term) {
        const int parts = (s.elements + PART - 1) / PART;
        std::vector<double> partial(parts);
        share(parts, [&](int a, int b) {
            for (int p = a; p < b; ++p) partial[p] = term(p * PART, std::min((p + 1) * PART, s.elements));
        });
        double total = 0;
        for (double p : partial) total += p;
        return total;
    }

    double dot(const std::vector<double>& a, const std::vector<double>& b) {
        return sum([&](int from, int to) {
            double t = 0;
            for (int i = 3 * from; i < 3 * to; ++i) t += a[i] * b[i];
            return t;
        });
    }

    // What is held gets 0; what is tied hands its amplitude's share to those it is tied to.
    void gather_tied(std::vector<double>& v) {
        for (int c = 0; c < s.columns; ++c)
            if (s.tied[3 * c] >= 0) {
                const double share_of = v[3 * c] / 3;
                v[3 * c] = 0;
                for (int k = 0; k < 3; ++k) v[3 * s.tied[3 * c + k]] += share_of;
            }
        for (int i = 0; i < size; ++i)
            if (!s.free[i]) v[i] = 0;
    }

    void spread_tied(std::vector<double>& v) {
        for (int c = 0; c < s.columns; ++c)
            if (s.tied[3 * c] >= 0) {
                double t = 0;
                for (int k = 0; k < 3; ++k) t += v[3 * s.tied[3 * c + k]];
                v[3 * c] = t / 3;
            }
    }

    // Curvature times (x, y).
    void apply(const std::vector<double>& x, const std::vector<double>& y, std::vector<double>& out,
               std::vector<double>& out_shared) {
        full = x;
        spread_tied(full);
        share(s.elements, [&](int a, int b) {
            for (int e = a; e < b; ++e) {
                const double* d = s.block + 9 * s.own[e];
                double t[3] = {0, 0, 0};
                for (int i = 0; i < 3; ++i)
                    for (int j = 0; j < 3; ++j) t[i] += d[3 * i + j] * full[3 * e + j];
                for (int n = s.first[e]; n < s.first[e + 1]; ++n) {
                    const int o = s.other[n];
                    const double *m = s.block + 9 * s.entry[n], *v = &full[3 * o];
                    if (o > e)
                        for (int i = 0; i < 3; ++i) t[i] += m[3 * i] * v[0] + m[3 * i + 1] * v[1] + m[3 * i + 2] * v[2];
                    else
                        for (int i = 0; i < 3; ++i) t[i] += m[i] * v[0] + m[3 + i] * v[1] + m[6 + i] * v[2];
                }
                for (int k = 0; k < s.shared; ++k)
                    for (int i = 0; i < 3; ++i) t[i] += s.border[size_t(k) * size + 3 * e + i] * y[k];
                for (int i = 0; i < 3; ++i) out[3 * e + i] = t[i];
            }
        });
        gather_tied(out);
        if (s.damping > 0)
            for (int e = 0; e < s.elements; ++e)
                for (int i = 0; i < 3; ++i)
                    if (s.free[3 * e + i]) out[3 * e + i] += s.damping * s.block[9 * s.own[e] + 4 * i] * x[3 * e + i];
        for (int k = 0; k < s.shared; ++k) {
            double t = sum([&](int from, int to) {
                double p = 0;
                for (int i = 3 * from; i < 3 * to; ++i) p += s.border[size_t(k) * size + i] * full[i];
                return p;
            });
            for (int l = 0; l < s.shared; ++l) t += corner[k * s.shared + l] * y[l];
            out_shared[k] = t;
        }
    }

    void precondition(const std::vector<double>& r, const std::vector<double>& q, std::vector<double>& z,
                      std::vector<double>& w) {
        share(s.elements, [&](int a, int b) {
            for (int e = a; e < b; ++e) {
                const double *m = &inverse[9 * e], *v = &r[3 * e];
                for (int i = 0; i < 3; ++i) z[3 * e + i] = m[3 * i] * v[0] + m[3 * i + 1] * v[1] + m[3 * i + 2] * v[2];
            }
        });
        w = q;
        if (s.shared) backsolve(factor.data(), s.shared, w.data());
    }

    int run(const double* g, const double* h, double* x_out, double* y_out, double tolerance, int most) {
        std::vector<double> x(size, 0.0), r(g, g + size), z(size), p(size), ap(size);
        std::vector<double> y(s.shared, 0.0), q(h, h + s.shared), w(s.shared), d(s.shared), ad(s.shared);
        gather_tied(r);
        precondition(r, q, z, w);
        p = z;
        d = w;
        double rz = dot(r, z) + inner(q, w);
        const double enough = tolerance * tolerance * rz;
        int done = 0;
        while (done < most && rz > enough && rz > 0) {
            apply(p, d, ap, ad);
            const double curvature = dot(p, ap) + inner(d, ad);
            if (!(curvature > 0)) break;
            const double step = rz / curvature;
            for (int i = 0; i < size; ++i) x[i] += step * p[i], r[i] -= step * ap[i];
            for (int k = 0; k < s.shared; ++k) y[k] += step * d[k], q[k] -= step * ad[k];
            precondition(r, q, z, w);
            const double next = dot(r, z) + inner(q, w), turn = next / rz;
            for (int i = 0; i < size; ++i) p[i] = z[i] + turn * p[i];
            for (int k = 0; k < s.shared; ++k) d[k] = w[k] + turn * d[k];
            rz = next;
            ++done;
        }
        spread_tied(x);
        for (int i = 0; i < size; ++i) x_out[i] = x[i];
        for (int k = 0; k < s.shared; ++k) y_out[k] = y[k];
        return done;
    }

  private:
    static double inner(const std::vector<double>& a, const std::vector<double>& b) {
        double t = 0;
        for (size_t i = 0; i < a.size(); ++i) t += a[i] * b[i];
        return t;
    }

    const System& s;
    const Share& share;
    const int size;
    std::vector<double> inverse, full, corner, factor;
};

// The pair of two elements, or -1.
int find(const System& s, int i, int j) {
    int low = s.first[i], high = s.first[i + 1];
    while (low < high) {
        const int middle = (low + high) / 2;
        if (s.other[middle] < j)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s.first[i + 1] && s.other[low] == j ? s.entry[low] : -1;
}

}  // namespace

int solve(const System& s, const double* g, const double* h, double* x, double* y, double tolerance, int most,
          const Share& share) {
    return Solver(s, share).run(g, h, x, y, tolerance, most);
}

void covariance(const System& s, const int* near, int n, int m, double* result, const Share& share) {
    share(n, [&](int from, int to) {
        const int size = 3 * m;
        std::vector<double> a(size * size), unit(size);
        for (int c = from; c < to; ++c) {
            // The column itself last: only its corner of the factor is needed then.
            const int* around = near + size_t(c) * m;
            std::fill(a.begin(), a.end(), 0.0);
            for (int p = 0; p < m; ++p) {
                const int i = around[m - 1 - p];
                for (int q = 0; q <= p; ++q) {
                    const int j = around[m - 1 - q];
                    const int at = i == j ? s.own[i] : find(s, i, j);
                    if (at < 0) continue;
                    const double* block = s.block + 9 * at;
                    for (int u = 0; u < 3; ++u)
                        for (int v = 0; v < 3; ++v)
                            if (s.free[3 * i + u] && s.free[3 * j + v])
                                a[(3 * p + u) * size + 3 * q + v] = i <= j ? block[3 * u + v] : block[3 * v + u];
                }
            }
            for (int p = 0; p < size; ++p) {
                double& d = a[p * size + p];
                d = d > 0 ? d * (1 + SINGULAR) : 1.0;
            }
            double* out = result + 9 * size_t(c);
            const bool good = factorise(a.data(), size);
            const double* corner = &a[(size - 3) * size + size - 3];
            double inverse[9] = {};
            for (int u = 0; u < 3 && good; ++u) {
                double x[3] = {u == 0 ? 1.0 : 0.0, u == 1 ? 1.0 : 0.0, u == 2 ? 1.0 : 0.0};
                for (int i = 0; i < 3; ++i) {
                    for (int k = 0; k < i; ++k) x[i] -= corner[i * size + k] * x[k];
                    x[i] /= corner[i * size + i];
                }
                for (int i = 2; i >= 0; --i) {
                    for (int k = i + 1; k < 3; ++k) x[i] -= corner[k * size + i] * x[k];
                    x[i] /= corner[i * size + i];
                }
                for (int v = 0; v < 3; ++v) inverse[3 * u + v] = x[v];
            }
            for (int u = 0; u < 3; ++u)
                for (int v = 0; v < 3; ++v)
                    out[3 * u + v] = good && s.free[3 * c + u] && s.free[3 * c + v]
                                         ? inverse[3 * u + v]
                                         : std::numeric_limits<double>::quiet_NaN();
        }
    });
}

}  // namespace stemdisp
