#include "solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "lanes.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {
namespace {

constexpr int PART = 2048;  // elements summed before partial sums are added: the same whatever the number of threads
constexpr double SINGULAR = 1e-12;
constexpr double LIFT = 1e-9;  // share of the diagonal that is added to it, so that two columns at one place do not part

// The curvature of an element with itself.
template <class T>
void own_block(const System<T>& s, int e, double* block) {
    std::copy_n(s.block + 9 * size_t(s.graph.own[e]), 9, block);
    for (int i = 0; i < 3; ++i) block[4 * i] += s.extra[3 * size_t(e) + i];
}

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

template <class T>
class Solver {
    // Four numbers of an element: its three parameters and nothing.
    using Four = Lanes<T, 4>;

    struct Field {
        std::vector<T> v;
        explicit Field(int elements) : v(size_t(elements) * 4, T(0)) {}
        Four get(int e) const { return Four::load(&v[4 * size_t(e)]); }
        void set(int e, Four x) { x.store(&v[4 * size_t(e)]); }
    };

  public:
    Solver(const System<T>& system, const Share& share_)
        : s(system), graph(s.graph), share(share_), inverse(size_t(12) * graph.elements), full(graph.elements) {
        plan();
        share(graph.elements, [&](int a, int b) {
            for (int e = a; e < b; ++e) prepare(e);
        });
        for (int c = 0; c < graph.columns; ++c)
            if (s.tied[3 * c] >= 0) tied.push_back(c);
        corner.assign(s.corner, s.corner + s.shared * s.shared);
        for (int i = 0; i < s.shared; ++i) corner[i * s.shared + i] *= 1 + s.damping + LIFT;
        border.reserve(s.shared);
        for (int k = 0; k < s.shared; ++k) {
            border.emplace_back(graph.elements);
            for (int e = 0; e < graph.elements; ++e)
                for (int i = 0; i < 3; ++i)
                    border[k].v[4 * size_t(e) + i] =
                        counts(e, i) ? T(s.border[(size_t(k) * graph.elements + e) * 3 + i]) : T(0);
        }
        prepare_common();
    }

    int run(const double* g, const double* h, double* x_out, double* y_out, double tolerance, int most) {
        const int n = graph.elements;
        Field x(n), r(n), z(n), p(n), ap(n);
        std::vector<double> y(s.shared, 0.0), q(h, h + s.shared), w(s.shared), d(s.shared), ad(s.shared);
        for (int e = 0; e < n; ++e)
            for (int i = 0; i < 3; ++i) r.v[4 * size_t(e) + i] = counts(e, i) ? T(g[3 * size_t(e) + i]) : T(0);
        gather_tied(r);
        double rz = precondition(r, q, z, w);
        p = z;
        d = w;
        const double enough = tolerance * tolerance * rz;
        int done = 0;
        while (done < most && rz > enough && rz > 0) {
            const double curvature = apply(p, d, ap, ad);
            if (!(curvature > 0)) break;
            const double step = rz / curvature;
            const Four forward{T(step)};
            share(n, [&](int a, int b) {
                for (int e = a; e < b; ++e) {
                    x.set(e, x.get(e) + forward * p.get(e));
                    r.set(e, r.get(e) - forward * ap.get(e));
                }
            });
            for (int k = 0; k < s.shared; ++k) y[k] += step * d[k], q[k] -= step * ad[k];
            const double next = precondition(r, q, z, w), turn = next / rz;
            const Four on{T(turn)};
            share(n, [&](int a, int b) {
                for (int e = a; e < b; ++e) p.set(e, z.get(e) + on * p.get(e));
            });
            for (int k = 0; k < s.shared; ++k) d[k] = w[k] + turn * d[k];
            rz = next;
            ++done;
        }
        spread_tied(x);
        for (int e = 0; e < n; ++e)
            for (int i = 0; i < 3; ++i) x_out[3 * size_t(e) + i] = double(x.v[4 * size_t(e) + i]);
        for (int k = 0; k < s.shared; ++k) y_out[k] = y[k];
        return done;
    }

  private:
    // Whether a parameter is fitted, or tied to others that are; the rest is left out of every equation.
    bool counts(int e, int i) const {
        return s.free[3 * size_t(e) + i] || (i == 0 && e < graph.columns && s.tied[3 * size_t(e)] >= 0);
    }

    void prepare(int e) {
        double block[9], inverted[9];
        own_block(s, e, block);
        invert(block, s.free + 3 * size_t(e), s.damping, inverted);
        for (int j = 0; j < 3; ++j)
            for (int i = 0; i < 3; ++i) inverse[12 * size_t(e) + 4 * j + i] = T(inverted[3 * i + j]);
    }

    // Elements are worked on in parts, always the same ones.  Each pair is read once and adds to both its elements, of which
    // the later may be another part's: what a part adds beyond its end it keeps apart, columns and knots each in one stretch.
    struct Part {
        int from, to, reach;  // its elements, and behind the last column it touches
        std::vector<T> beyond, knots;
    };

    void plan() {
        for (int from = 0; from < graph.elements; from += PART) {
            Part part{from, std::min(from + PART, graph.elements), 0, {}, {}};
            part.reach = part.to;
            bool touches_knots = false;
            for (int e = from; e < part.to; ++e)
                for (int p = graph.own[e] + 1; p < last(e); ++p) {
                    const int other = graph.pair[2 * size_t(p) + 1];
                    if (other < graph.columns)
                        part.reach = std::max(part.reach, other + 1);
                    else if (other >= part.to)
                        touches_knots = true;
                }
            part.beyond.resize(4 * size_t(part.reach - part.to));
            if (touches_knots) part.knots.resize(4 * size_t(graph.elements - graph.columns));
            parts.push_back(std::move(part));
        }
    }

    // Behind the last pair of which element e is the first.
    int last(int e) const { return e + 1 < graph.elements ? graph.own[e + 1] : graph.pairs; }

    // Curvature times x for the pairs whose first element is in a part.
    void multiply(Part& part, const Field& x, Field& out) {
        std::fill(part.beyond.begin(), part.beyond.end(), T(0));
        std::fill(part.knots.begin(), part.knots.end(), T(0));
        for (int e = part.from; e < part.to; ++e) out.set(e, Four(T(0)));
        for (int e = part.from; e < part.to; ++e) {
            const T* mine = &x.v[4 * size_t(e)];
            const Four x0(mine[0]), x1(mine[1]), x2(mine[2]);
            Four row0(T(0)), row1(T(0)), row2(T(0));
            for (int p = graph.own[e]; p < last(e); ++p) {
                const int other = graph.pair[2 * size_t(p) + 1];
                const T* block = s.block + 9 * size_t(p);
                // The fourth number of a row is another's: it meets a 0, or ends where nobody looks.
                const Four b0 = Four::load(block), b1 = Four::load(block + 3), b2 = third_row(block);
                const Four theirs = x.get(other);
                row0 = row0 + b0 * theirs;
                row1 = row1 + b1 * theirs;
                row2 = row2 + b2 * theirs;
                if (other == e) continue;
                T* place = other < part.to             ? &out.v[4 * size_t(other)]
                           : other < graph.columns ? &part.beyond[4 * size_t(other - part.to)]
                                                   : &part.knots[4 * size_t(other - graph.columns)];
                (Four::load(place) + (b0 * x0 + b1 * x1 + b2 * x2)).store(place);
            }
            T* place = &out.v[4 * size_t(e)];
            const double* extra = s.extra + 3 * size_t(e);
            const T* own = s.block + 9 * size_t(graph.own[e]);
            const T sums[3] = {row0.sum(), row1.sum(), row2.sum()};
            for (int i = 0; i < 3; ++i) {
                const T lift = T(extra[i] + (own[4 * i] + extra[i]) * (s.damping + LIFT));
                place[i] += sums[i] + lift * mine[i];
            }
        }
    }

    // The last row of a block, without reading past it.
    static Four third_row(const T* block) {
        T row[4] = {block[6], block[7], block[8], T(0)};
        return Four::load(row);
    }

    static Four times(const T* columns, const T* v) {
        return Four::load(columns) * Four(v[0]) + Four::load(columns + 4) * Four(v[1]) +
               Four::load(columns + 8) * Four(v[2]);
    }

    // Sum over elements of what `term` gives for parts of them, in one order.
    template <class Term>
    double sum(const Term& term) {
        const int parts = (graph.elements + PART - 1) / PART;
        std::vector<double> partial(parts);
        share(parts, [&](int a, int b) {
            for (int p = a; p < b; ++p) {
                double t = 0;
                const int end = std::min((p + 1) * PART, graph.elements);
                for (int e = p * PART; e < end; ++e) t += double(term(e).sum());
                partial[p] = t;
            }
        });
        double total = 0;
        for (double p : partial) total += p;
        return total;
    }

    // What is tied hands its amplitude's share to those it is tied to.
    void gather_tied(Field& f) {
        for (int c : tied) {
            const T part = f.v[4 * size_t(c)] / 3;
            f.v[4 * size_t(c)] = 0;
            for (int k = 0; k < 3; ++k) f.v[4 * size_t(s.tied[3 * c + k])] += part;
        }
    }

    void spread_tied(Field& f) {
        for (int c : tied) {
            T t = 0;
            for (int k = 0; k < 3; ++k) t += f.v[4 * size_t(s.tied[3 * c + k])];
            f.v[4 * size_t(c)] = t / 3;
        }
    }

    // Curvature times (x, y), and the product of that with (x, y).
    double apply(const Field& x, const std::vector<double>& y, Field& out, std::vector<double>& out_shared) {
        full = x;
        spread_tied(full);
        share(int(parts.size()), [&](int a, int b) {
            for (int p = a; p < b; ++p) multiply(parts[p], full, out);
        });
        for (const Part& part : parts) {
            for (size_t n = 0; n < part.beyond.size(); ++n) out.v[4 * size_t(part.to) + n] += part.beyond[n];
            for (size_t n = 0; n < part.knots.size(); ++n) out.v[4 * size_t(graph.columns) + n] += part.knots[n];
        }
        share(graph.elements, [&](int a, int b) {
            for (int e = a; e < b; ++e) {
                Four t = out.get(e);
                for (int k = 0; k < s.shared; ++k) t = t + Four(T(y[k])) * border[k].get(e);
                t.store(&out.v[4 * size_t(e)]);
                for (int i = 0; i < 3; ++i)
                    if (!counts(e, i)) out.v[4 * size_t(e) + i] = 0;
                out.v[4 * size_t(e) + 3] = 0;
            }
        });
        gather_tied(out);
        double product = sum([&](int e) { return x.get(e) * out.get(e); });
        for (int k = 0; k < s.shared; ++k) {
            double t = sum([&](int e) { return border[k].get(e) * full.get(e); });
            for (int l = 0; l < s.shared; ++l) t += corner[k * s.shared + l] * y[l];
            out_shared[k] = t;
            product += y[k] * t;
        }
        return product;
    }

    // What all columns can do together: the heights of a group grow, the background rises, a shared parameter changes.
    // Each touches everything, so that steps of single elements find it slowly; its equations are solved exactly.
    void prepare_common() {
        for (int g = 0; g <= s.groups; ++g) {
            Field f(graph.elements);
            bool any_free = false;
            for (int e = 0; e < graph.elements; ++e)
                if (e < graph.columns ? g < s.groups && s.group[e] == g : g == s.groups) {
                    const T value = e < graph.columns ? T(s.height[e]) : T(1);
                    if (s.free[3 * size_t(e)]) f.v[4 * size_t(e)] = value, any_free = any_free || value != 0;
                }
            if (any_free) common.push_back(f);
        }
        const int n = int(common.size()), size = n + s.shared;
        coarse.assign(size * size, 0.0);
        Field product(graph.elements);
        const std::vector<double> none(s.shared, 0.0);
        std::vector<double> with_shared(s.shared);
        for (int i = 0; i < n; ++i) {
            apply(common[i], none, product, with_shared);
            for (int j = 0; j <= i; ++j)
                coarse[i * size + j] = coarse[j * size + i] = sum([&](int e) { return common[j].get(e) * product.get(e); });
            for (int k = 0; k < s.shared; ++k)
                coarse[i * size + n + k] = coarse[(n + k) * size + i] = with_shared[k];
        }
        for (int k = 0; k < s.shared; ++k)
            for (int l = 0; l < s.shared; ++l) coarse[(n + k) * size + n + l] = corner[k * s.shared + l];
        for (int i = 0; i < size; ++i) coarse[i * size + i] *= 1 + LIFT;
        std::vector<double> diagonal(size);
        for (int i = 0; i < size; ++i) diagonal[i] = coarse[i * size + i];
        if (!factorise(coarse.data(), size)) {
            coarse.assign(size * size, 0.0);
            for (int i = 0; i < size; ++i) coarse[i * size + i] = diagonal[i] > 0 ? std::sqrt(diagonal[i]) : 1.0;
        }
    }

    // (z, w): approximately the inverse curvature times (r, q); returns their product with (r, q).
    double precondition(const Field& r, const std::vector<double>& q, Field& z, std::vector<double>& w) {
        const int n = int(common.size());
        std::vector<double> t(n + s.shared);
        for (int i = 0; i < n; ++i) t[i] = sum([&](int e) { return common[i].get(e) * r.get(e); });
        for (int k = 0; k < s.shared; ++k) t[n + k] = q[k];
        if (!t.empty()) backsolve(coarse.data(), n + s.shared, t.data());
        share(graph.elements, [&](int a, int b) {
            for (int e = a; e < b; ++e) {
                Four own_step = times(&inverse[12 * size_t(e)], &r.v[4 * size_t(e)]);
                for (int i = 0; i < n; ++i) own_step = own_step + Four(T(t[i])) * common[i].get(e);
                z.set(e, own_step);
            }
        });
        double product = sum([&](int e) { return r.get(e) * z.get(e); });
        for (int k = 0; k < s.shared; ++k) {
            w[k] = t[n + k];
            product += q[k] * w[k];
        }
        return product;
    }

    const System<T>& s;
    const Graph& graph;
    const Share& share;
    std::vector<T> inverse;
    std::vector<Part> parts;
    Field full;
    std::vector<double> corner, coarse;
    std::vector<int> tied;
    std::vector<Field> border, common;
};

// The pair of two elements, or -1.
int find(const Graph& graph, int i, int j) {
    int low = graph.first[i], high = graph.first[i + 1];
    while (low < high) {
        const int middle = (low + high) / 2;
        if (graph.other[middle] < j)
            low = middle + 1;
        else
            high = middle;
    }
    return low < graph.first[i + 1] && graph.other[low] == j ? graph.entry[low] : -1;
}

}  // namespace

template <class T>
int solve(const System<T>& s, const double* g, const double* h, double* x, double* y, double tolerance, int most,
          const Share& share) {
    return Solver<T>(s, share).run(g, h, x, y, tolerance, most);
}

template <class T>
void covariance(const System<T>& s, const int* near, int n, int m, double* result, const Share& share) {
    const Graph& graph = s.graph;
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
                    const int at = i == j ? graph.own[i] : find(graph, i, j);
                    if (at < 0) continue;
                    double block[9];
                    if (i == j)
                        own_block(s, i, block);
                    else
                        std::copy_n(s.block + 9 * size_t(at), 9, block);
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

template int solve(const System<float>&, const double*, const double*, double*, double*, double, int, const Share&);
template int solve(const System<double>&, const double*, const double*, double*, double*, double, int, const Share&);
template void covariance(const System<float>&, const int*, int, int, double*, const Share&);
template void covariance(const System<double>&, const int*, int, int, double*, const Share&);

}  // namespace STEMDISP_LEVEL
}  // namespace stemdisp
