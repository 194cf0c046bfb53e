#include "runtime/socket_steering.hpp"

#include "runtime/system_failure.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace sandy::runtime {

namespace {

constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

/// bpf(2), for which libc has no function.
int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t pointer(const void* to) { return reinterpret_cast<std::uintptr_t>(to); }

caf::error unavailable(std::string_view step, int error) {
  if (is_exhaustion(error))
    return system_failure(step, error);
  return fail(errc::feature_unavailable,
              "This machine cannot connect sandboxes: " + std::string{step} + ": " + std::strerror(error));
}

result<unique_fd> map_of(std::initializer_list<int> sockets) {
  bpf_attr wanted{};
  wanted.map_type = BPF_MAP_TYPE_SOCKMAP;
  wanted.key_size = sizeof(std::uint32_t);
  wanted.value_size = sizeof(std::uint64_t);
  wanted.max_entries = static_cast<__u32>(sockets.size());
  unique_fd map{bpf(BPF_MAP_CREATE, wanted)};
  if (!map)
    return unavailable("no map of sockets", errno);
  std::uint32_t key = 0;
  for (auto socket : sockets) {
    const auto value = static_cast<std::uint64_t>(socket);
    bpf_attr entry{};
    entry.map_fd = static_cast<__u32>(map.get());
    entry.key = pointer(&key);
    entry.value = pointer(&value);
    entry.flags = BPF_ANY;
    if (bpf(BPF_MAP_UPDATE_ELEM, entry) != 0)
      return unavailable("no socket in a map of sockets", errno);
    ++key;
  }
  return map;
}

} // namespace

steering_program::steering_program() {
  add(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0); // calls take the first registers
}

void steering_program::add(int code, int to, int from, int offset, std::int32_t value) {
  bpf_insn made{};
  made.code = static_cast<__u8>(code);
  made.dst_reg = static_cast<__u8>(to & 0xf);
  made.src_reg = static_cast<__u8>(from & 0xf);
  made.off = static_cast<__s16>(offset);
  made.imm = value;
  code_.push_back(made);
}

steering_program::label steering_program::make_label() {
  labels_.push_back(nowhere);
  return labels_.size() - 1;
}

void steering_program::place(label where) { labels_[where] = code_.size(); }

void steering_program::add_jump(int code, std::uint32_t value, label to) {
  jumps_.emplace_back(code_.size(), to);
  add(code, 2, 0, 0, static_cast<std::int32_t>(value));
}

void steering_program::jump(label to) {
  jumps_.emplace_back(code_.size(), to);
  add(BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

void steering_program::load(std::size_t offset) {
  add(BPF_LDX | BPF_MEM | BPF_W, 2, 6, static_cast<int>(offset), 0);
}

void steering_program::mask(std::uint32_t bits) {
  add(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, static_cast<std::int32_t>(bits));
}

void steering_program::jump_if_equal(std::uint32_t value, label to) {
  add_jump(BPF_JMP32 | BPF_JEQ | BPF_K, value, to);
}

void steering_program::jump_if_different(std::uint32_t value, label to) {
  add_jump(BPF_JMP32 | BPF_JNE | BPF_K, value, to);
}

void steering_program::pass() {
  add(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, SK_PASS);
  add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void steering_program::refuse() {
  add(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, SK_DROP);
  add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void steering_program::call(std::int32_t function) { add(BPF_JMP | BPF_CALL, 0, 0, 0, function); }

void steering_program::choose(std::uint32_t place_in_map) {
  constexpr int stack = 10, key = -4;
  auto none = make_label();
  add(BPF_ST | BPF_MEM | BPF_W, stack, 0, key, static_cast<std::int32_t>(place_in_map));
  add(BPF_ALU64 | BPF_MOV | BPF_X, 2, stack, 0, 0);
  add(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, key);
  maps_.push_back(code_.size());
  add(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, 0);
  add(0, 0, 0, 0, 0); // the second half of the line above
  call(BPF_FUNC_map_lookup_elem);
  add(BPF_ALU64 | BPF_MOV | BPF_X, 2, 0, 0, 0);
  jumps_.emplace_back(code_.size(), none);
  add(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 0, 0);
  add(BPF_ALU64 | BPF_MOV | BPF_X, 7, 2, 0, 0);
  add(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0);
  add(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0);
  call(BPF_FUNC_sk_assign);
  add(BPF_ALU64 | BPF_MOV | BPF_X, 1, 7, 0, 0); // the look-up counted a reference
  call(BPF_FUNC_sk_release);
  place(none);
  pass();
}

std::vector<bpf_insn> steering_program::code(int map) const {
  auto finished = code_;
  for (const auto& [at, to] : jumps_)
    finished[at].off =
        static_cast<__s16>(static_cast<std::ptrdiff_t>(labels_[to]) - static_cast<std::ptrdiff_t>(at) - 1);
  for (auto at : maps_)
    finished[at].imm = map;
  return finished;
}

result<unique_fd> steer(int network, const steering_program& program, std::initializer_list<int> sockets) {
  auto map = map_of(sockets);
  if (!map)
    return map;
  const auto code = program.code(map->get());
  bpf_attr wanted{};
  wanted.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
  wanted.expected_attach_type = BPF_SK_LOOKUP;
  wanted.insns = pointer(code.data());
  wanted.insn_cnt = static_cast<__u32>(code.size());
  wanted.license = pointer("MIT");
  std::strncpy(wanted.prog_name, "sandy_capture", sizeof wanted.prog_name - 1);
  unique_fd loaded{bpf(BPF_PROG_LOAD, wanted)};
  if (!loaded)
    return unavailable("no program that chooses sockets", errno);
  bpf_attr link{};
  link.link_create.prog_fd = static_cast<__u32>(loaded.get());
  link.link_create.target_fd = static_cast<__u32>(network);
  link.link_create.attach_type = BPF_SK_LOOKUP;
  unique_fd made{bpf(BPF_LINK_CREATE, link)};
  if (!made)
    return unavailable("no program in a network namespace", errno);
  return made; // holds the program, which holds the map
}

} // namespace sandy::runtime
