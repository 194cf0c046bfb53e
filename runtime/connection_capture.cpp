#include "runtime/connection_capture.hpp"

#include "runtime/foreign_namespace.hpp"
#include "runtime/network_namespace.hpp"
#include "runtime/system_failure.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

namespace sandy::runtime {

namespace {

constexpr int backlog = 256;

/// bpf(2), for which libc has no function.
int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t pointer(const void* to) { return reinterpret_cast<std::uintptr_t>(to); }

// The program, one instruction a line. Registers: 0 result, 1 to 3 arguments, 6 and 7 kept, 10 the stack.
using instruction = bpf_insn;
using register_number = std::uint8_t;

constexpr instruction make(int code, int to, int from, int offset, std::int32_t value) {
  instruction made{};
  made.code = static_cast<__u8>(code);
  made.dst_reg = static_cast<register_number>(to & 0xf);
  made.src_reg = static_cast<register_number>(from & 0xf);
  made.off = static_cast<__s16>(offset);
  made.imm = value;
  return made;
}
constexpr instruction set(int to, std::int32_t value) {
  return make(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}
constexpr instruction copy(int to, int from) { return make(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
constexpr instruction add(int to, std::int32_t value) {
  return make(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value);
}
constexpr instruction mask_32(int to, std::uint32_t mask) {
  return make(BPF_ALU | BPF_AND | BPF_K, to, 0, 0, static_cast<std::int32_t>(mask));
}
constexpr instruction load_32(int to, int from, std::size_t offset) {
  return make(BPF_LDX | BPF_MEM | BPF_W, to, from, static_cast<int>(offset), 0);
}
constexpr instruction store_32(int to, int offset, std::int32_t value) {
  return make(BPF_ST | BPF_MEM | BPF_W, to, 0, offset, value);
}
// Jumps skip instructions: each of these guards the two that give up.
constexpr int giving_up = 2;
constexpr instruction unless_equal_32(int which, std::uint32_t value) {
  return make(BPF_JMP32 | BPF_JEQ | BPF_K, which, 0, giving_up, static_cast<std::int32_t>(value));
}
constexpr instruction unless_set(int which) {
  return make(BPF_JMP | BPF_JNE | BPF_K, which, 0, giving_up, 0);
}
constexpr instruction call(int function) { return make(BPF_JMP | BPF_CALL, 0, 0, 0, function); }
constexpr instruction leave() { return make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

/// Gives connections to the range the socket that is the map's only entry, and leaves the others alone.
auto choose_socket(const captured_range& range, int map) {
  const auto first = htonl(range.first), mask = htonl(range.mask);
  constexpr auto as_ever = set(0, SK_PASS), done = leave();
  return std::to_array<instruction>({
      copy(6, 1),
      load_32(2, 6, offsetof(bpf_sk_lookup, family)),
      unless_equal_32(2, AF_INET),
      as_ever,
      done,
      load_32(2, 6, offsetof(bpf_sk_lookup, protocol)),
      unless_equal_32(2, IPPROTO_TCP),
      as_ever,
      done,
      load_32(2, 6, offsetof(bpf_sk_lookup, local_ip4)),
      mask_32(2, mask),
      unless_equal_32(2, first),
      as_ever,
      done,
      // 7 = map[0]
      store_32(10, -4, 0),
      copy(2, 10),
      add(2, -4),
      make(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map),
      make(0, 0, 0, 0, 0), // the second half of the line above
      call(BPF_FUNC_map_lookup_elem),
      unless_set(0),
      as_ever,
      done,
      copy(7, 0),
      // That socket it is.
      copy(1, 6),
      copy(2, 7),
      set(3, 0),
      call(BPF_FUNC_sk_assign),
      // The look-up counted a reference.
      copy(1, 7),
      call(BPF_FUNC_sk_release),
      as_ever,
      done,
  });
}

caf::error unavailable(std::string_view step, int error) {
  if (is_exhaustion(error))
    return system_failure(step, error);
  return fail(errc::feature_unavailable,
              "This machine cannot connect sandboxes: " + std::string{step} + ": " + std::strerror(error));
}

/// A map of one socket.
result<unique_fd> map_of(int socket) {
  bpf_attr wanted{};
  wanted.map_type = BPF_MAP_TYPE_SOCKMAP;
  wanted.key_size = sizeof(std::uint32_t);
  wanted.value_size = sizeof(std::uint64_t);
  wanted.max_entries = 1;
  unique_fd map{bpf(BPF_MAP_CREATE, wanted)};
  if (!map)
    return unavailable("no map of sockets", errno);
  const std::uint32_t key = 0;
  const auto value = static_cast<std::uint64_t>(socket);
  bpf_attr entry{};
  entry.map_fd = static_cast<__u32>(map.get());
  entry.key = pointer(&key);
  entry.value = pointer(&value);
  entry.flags = BPF_ANY;
  if (bpf(BPF_MAP_UPDATE_ELEM, entry) != 0)
    return unavailable("no listener in a map of sockets", errno);
  return map;
}

/// Steers the connections of a network namespace to the socket.
result<unique_fd> steer(int network, const captured_range& range, int socket) {
  auto map = map_of(socket);
  if (!map)
    return map;
  const auto code = choose_socket(range, map->get());
  bpf_attr wanted{};
  wanted.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
  wanted.expected_attach_type = BPF_SK_LOOKUP;
  wanted.insns = pointer(code.data());
  wanted.insn_cnt = static_cast<__u32>(code.size());
  wanted.license = pointer("MIT");
  std::strncpy(wanted.prog_name, "sandy_capture", sizeof wanted.prog_name - 1);
  unique_fd program{bpf(BPF_PROG_LOAD, wanted)};
  if (!program)
    return unavailable("no program that chooses sockets", errno);
  bpf_attr link{};
  link.link_create.prog_fd = static_cast<__u32>(program.get());
  link.link_create.target_fd = static_cast<__u32>(network);
  link.link_create.attach_type = BPF_SK_LOOKUP;
  unique_fd made{bpf(BPF_LINK_CREATE, link)};
  if (!made)
    return unavailable("no program in a network namespace", errno);
  return made; // holds the program, which holds the map
}

} // namespace

result<connection_capture> capture_connections(int pidfd, const captured_range& range) {
  connection_capture made;
  unique_fd network;
  int error = 0;
  auto entered = run_in_namespaces(pidfd, CLONE_NEWNET, [&] {
    made.listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    network.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    error = errno;
  });
  if (!made.listener || !network)
    return system_failure("cannot enter the sandbox's network", entered != 0 ? entered : error,
                          errc::sandbox_ended);
  // A server that starts again finds connections of the one before in TIME_WAIT.
  int on = 1;
  ::setsockopt(made.listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  limit_socket_buffers(made.listener.get()); // what it accepts inherits them
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(range.port);
  address.sin_addr.s_addr = htonl(range.listener);
  if (::bind(made.listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(made.listener.get(), backlog) != 0) {
    if (errno == EADDRINUSE)
      return fail(errc::conflict, "the address for connections is taken inside the sandbox");
    return system_failure("cannot listen inside the sandbox");
  }
  auto steering = steer(network.get(), range, made.listener.get());
  if (!steering)
    return std::move(steering.error());
  made.steering = std::move(*steering);
  return made;
}

} // namespace sandy::runtime
