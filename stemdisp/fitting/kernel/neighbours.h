// Which elements of a joint fit overlap, as the kernels want it.
#pragma once

#include <vector>

#include "binding.h"
#include "solver.h"

namespace stemdisp {

class Neighbours {
  public:
    const int columns, elements;

    // `pair` (m, 2): i <= j, sorted, each once, every element with itself.
    Neighbours(Array<const int, 2> pair_, int columns_, int elements_)
        : columns(columns_), elements(elements_), pair(pair_), pairs(int(pair.shape(0))), knot_pairs(pairs), first(elements + 1, 0),
          own(elements, -1) {
        require(pair.shape(1) == 2 && 0 <= columns && columns <= elements, "pair: (m, 2); columns are elements");
        const int* p = pair.data();
        for (int k = 0; k < pairs; ++k) {
            const int i = p[2 * k], j = p[2 * k + 1];
            require(0 <= i && i <= j && j < elements, "pair: i <= j, both elements");
            require(k == 0 || p[2 * k - 2] < i || (p[2 * k - 2] == i && p[2 * k - 1] < j), "pair: sorted, each once");
            if (i >= columns && k < knot_pairs) knot_pairs = k;
            if (i == j)
                own[i] = k;
            else
                ++first[i + 1], ++first[j + 1];
        }
        for (int e = 0; e < elements; ++e) require(own[e] >= 0, "pair: every element with itself");
        for (int e = 0; e < elements; ++e) first[e + 1] += first[e];
        other.resize(first.back());
        entry.resize(first.back());
        std::vector<int> next(first.begin(), first.end() - 1);
        // Two passes keep each list ascending: first those with a lower number, then those with a higher one.
        for (int pass = 0; pass < 2; ++pass)
            for (int k = 0; k < pairs; ++k) {
                const int i = p[2 * k], j = p[2 * k + 1];
                if (i == j) continue;
                const int e = pass ? i : j, o = pass ? j : i;
                other[next[e]] = o;
                entry[next[e]++] = k;
            }
    }

    size_t size() const { return size_t(pairs); }

    Graph graph() const {
        return {columns, elements, knot_pairs, pairs, pair.data(), first.data(), other.data(), entry.data(), own.data()};
    }

    // The equations of these elements, without anything shared.
    template <class T>
    System<T> system(const Array<const T, 2>& blocks, const Array<const double, 2>& extra,
                     const Array<const unsigned char, 2>& free, const Array<const int, 2>& tied) const {
        require(blocks.shape(0) == size() && blocks.shape(1) == 9, "blocks: (m, 9)");
        require(int(extra.shape(0)) == elements && extra.shape(1) == 3, "extra: (elements, 3)");
        require(int(free.shape(0)) == elements && free.shape(1) == 3, "free: (elements, 3)");
        require(int(tied.shape(0)) == columns && tied.shape(1) == 3, "tied: (columns, 3)");
        for (size_t k = 0; k < tied.shape(0) * 3; ++k)
            require(tied.data()[k] >= -1 && tied.data()[k] < columns, "tied: out of range");
        return {graph(), blocks.data(), extra.data(), free.data(), tied.data(), 0, nullptr, nullptr, 0, nullptr, nullptr, 0.0};
    }

  private:
    const Array<const int, 2> pair;
    const int pairs;
    int knot_pairs;
    std::vector<int> first, other, entry, own;
};

}  // namespace stemdisp
