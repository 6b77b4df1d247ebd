// The sums of the joint fit for one instruction set.  Compiled once for each, with STEMDISP_LEVEL naming it and
// STEMDISP_BYTES the size of its vector registers.
#include "kernels.h"

#include "sums.h"

namespace stemdisp {
namespace STEMDISP_LEVEL {

template <class T, bool TAIL>
void add_bins(const Image& in, const Graph& graph, const T* image, const Sums<T>& out, const OwnSums& own, int from, int to) {
    BinSums<Widest<T>, TAIL> sums(in, graph);
    for (int bin = from; bin < to; ++bin) sums.add(bin, image, out, own);
}

template <class T>
void sum_bins(const Image& in, const Graph& graph, const T* image, const Sums<T>& out, const OwnSums& own, int from, int to) {
    (in.profile.tailed ? add_bins<T, true> : add_bins<T, false>)(in, graph, image, out, own, from, to);
}

}  // namespace STEMDISP_LEVEL

#define STEMDISP_TEXT2(x) #x
#define STEMDISP_TEXT(x) STEMDISP_TEXT2(x)
#define STEMDISP_JOIN2(a, b) a##b
#define STEMDISP_JOIN(a, b) STEMDISP_JOIN2(a, b)

extern const Kernels STEMDISP_JOIN(kernels_, STEMDISP_LEVEL) = {
    STEMDISP_TEXT(STEMDISP_LEVEL),
    {STEMDISP_LEVEL::sum_bins<float>, STEMDISP_LEVEL::solve<float>, STEMDISP_LEVEL::covariance<float>},
    {STEMDISP_LEVEL::sum_bins<double>, STEMDISP_LEVEL::solve<double>, STEMDISP_LEVEL::covariance<double>},
};

}  // namespace stemdisp
