// What all bindings share: arrays, checks, threads.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <thread>
#include <vector>

namespace stemdisp {

namespace nb = nanobind;

template <class T, int D>
using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

inline void require(bool good, const char* what) {
    if (!good) throw std::invalid_argument(what);
}

// Tasks 0..n-1 shared among threads in contiguous parts; each task writes only what is its own.
template <class Work>
void share(int n, int threads, const Work& work) {
    threads = n < threads ? (n > 0 ? n : 1) : threads;
    if (threads <= 1) {
        work(0, n);
        return;
    }
    std::vector<std::thread> team;
    // Parts are small and dealt out in turn, so that a dense corner of an image does not keep one thread busy alone.
    const int parts = threads * 8 < n ? threads * 8 : n;
    for (int t = 0; t < threads; ++t)
        team.emplace_back([&, t] {
            for (int p = t; p < parts; p += threads)
                work(int((long long)n * p / parts), int((long long)n * (p + 1) / parts));
        });
    for (auto& one : team) one.join();
}

}  // namespace stemdisp
