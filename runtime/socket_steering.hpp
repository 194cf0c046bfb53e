#pragma once

#include "messages/error.hpp"
#include "runtime/unique_fd.hpp"

#include <linux/bpf.h>
#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace sandy::runtime {

/// A BPF program of type sk_lookup (the kernel's bpf/prog_sk_lookup.rst), written one instruction after the
/// other. It runs once for each connection and for each datagram to a socket that is not connected. Register
/// 6 points to what is known of them.
class steering_program {
public:
  using label = std::size_t;

  steering_program();

  label make_label();
  void place(label where); ///< the next instruction is the label's
  void jump(label to);
  /// Register 2 becomes a field of bpf_sk_lookup; `offset` of the field.
  void load(std::size_t offset);
  void mask(std::uint32_t bits);                     ///< register 2 &= bits
  void jump_if_equal(std::uint32_t value, label to); ///< register 2 == value
  void jump_if_different(std::uint32_t value, label to);
  void pass();   ///< the end: whatever the kernel finds without us
  void refuse(); ///< the end: as if nobody listened
  /// The end: the socket at this place of the map; as `pass` when there is none.
  void choose(std::uint32_t place_in_map);

  /// The instructions, for this map of sockets.
  std::vector<bpf_insn> code(int map) const;

private:
  void add(int code, int to, int from, int offset, std::int32_t value);
  void add_jump(int code, std::uint32_t value, label to);
  void call(std::int32_t function);

  std::vector<bpf_insn> code_;
  std::vector<std::size_t> labels_;                  ///< where they are
  std::vector<std::pair<std::size_t, label>> jumps_; ///< which instruction jumps to which label
  std::vector<std::size_t> maps_;                    ///< instructions that name the map
};

/// Has the program choose among sockets, in a network namespace, until the descriptor that it returns is
/// closed; that keeps nothing else, the namespace neither. @param network refers to the namespace. @param
/// sockets listening TCP or bound UDP sockets, the map's entries in this order.
/// Fails with feature_unavailable when the kernel cannot do it.
result<unique_fd> steer(int network, const steering_program& program, std::initializer_list<int> sockets);

} // namespace sandy::runtime
