#pragma once

#include "messages/error.hpp"

#include <cstdint>

namespace sandy::runtime {

/// Bounds the System V objects of a process's ipc namespace: they count as its memory but outlive the
/// processes that made them, so that killing does not free them. Shared memory together gets an eighth of the
/// memory and goes with its users. From outside, because kernels before 6.9 let only the host's root set
/// this. Blocking, about 0.1 ms.
/// @param root_uid the host's uid of the sandbox's root
result<void> limit_ipc(int pidfd, std::uint32_t root_uid, std::uint64_t memory_bytes);

} // namespace sandy::runtime
