#pragma once

#include "coro/actor.hpp"
#include "coro/io.hpp"
#include "coro/sync.hpp"
#include "coro/task.hpp"
#include "messages/cluster.hpp"
#include "messages/node_directory.hpp"
#include "messages/worker.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sandy {

/// Where a node listens for others.
struct node_address {
  std::string host;
  std::uint16_t port = 0;
  friend auto operator<=>(const node_address&, const node_address&) = default;
};

/// What a node says of itself before it is greeted.
struct node_door {
  std::string id;
  std::string host; ///< where it speaks CAF's protocol
  std::uint16_t port = 0;
  bool self = false; ///< it is this very node
};

/// What a membership works with. Outlives the actor system.
struct membership_services {
  /// Asks whoever listens there who it is. Fails with upstream_error (nobody that is trusted), conflict (it
  /// speaks another protocol).
  std::function<coro::task<node_door>(node_address where)> knock;
  /// Connects to a node's membership. Blocking, for long: called through `connections`. Fails with
  /// upstream_error.
  std::function<result<membership_actor>(const std::string& host, std::uint16_t port)> connect;
  /// Keeps what was wished of this node. Blocking: called through `calls`.
  std::function<result<void>(node_state wish)> remember;
  coro::offload calls;
  coro::offload connections;
  node_directory& directory;
  /// A node is silent: what is being asked of it is not waited for.
  std::function<void(const node_card& silent)> abandon = [](const node_card&) {};
  std::function<unix_millis()> wall_clock = unix_now;
};

/// State of a node's membership: connects to the nodes that the configuration names and to those that they
/// know, tells all of them every second how this one does, and publishes who is there. There is no leader:
/// every node knows every other by itself. One that is not heard of is unreachable, and forgotten when that
/// has lasted.
///
/// Two nodes that cannot see each other may both be alive: neither takes anything over from the other.
class membership_state {
public:
  static inline const char* name = "membership";
  using self_pointer = coro::actor<membership_state, membership_actor>*;

  /// @param own this node, as it is told to others; its load comes from the worker. @param seeds to be
  /// greeted first.
  membership_state(self_pointer self, membership_services* env, node_card own,
                   std::vector<node_address> seeds, worker_actor worker);
  membership_actor::behavior_type make_behavior();

  /// Until a node that is not heard of counts as unreachable, and then as gone.
  static constexpr std::chrono::seconds silence{5};
  static constexpr std::chrono::seconds absence{5};

private:
  using time_point = std::chrono::steady_clock::time_point;
  struct peer {
    node_card card;
    membership_actor handle; ///< invalid: not connected
    time_point heard;
    unix_millis seen_at = 0;
    bool reachable = false;
    bool abandoned = false;
  };

  coro::task<void> live();
  coro::task<void> join(node_address where);
  coro::task<void> greet(node_address where);
  coro::task<void> greet_again(membership_actor whom);
  void meet(const std::vector<node_card>& others);
  bool connected(const node_address& where) const;
  void seek();
  void look_after_peers();
  void report();
  coro::task<void> look_at_worker();
  result<void> check(const node_card& card) const;
  void welcome(node_card card, membership_actor handle);
  void lost(const caf::actor_addr& whom);
  void publish();
  node_view view_of(const peer& one) const;
  std::vector<node_view> views() const;
  std::vector<membership_actor> reachable(bool with_controllers = true) const;

  caf::result<node_greeting> greeted(greet_node message);
  void reported(report_node message);
  caf::result<node_view> steer(steer_node message);
  caf::result<worker_resources> resources();
  template <class Answer, class Question>
  coro::task<std::vector<Answer>> ask_all(Question question, std::vector<membership_actor> others,
                                          bool ourselves);
  template <class Item, class Question>
  caf::result<std::vector<Item>> gather(Question question);

  self_pointer self_;
  membership_services* env_;
  node_card own_;
  std::vector<node_address> seeds_;
  worker_actor worker_;
  std::map<std::string, peer> peers_; ///< by id
  std::set<node_address> joining_;
  std::map<node_address, std::string> known_ids_; ///< whose address it is, as that node said
  std::map<node_address, time_point> not_before_; ///< those that refuse us are asked less often
  coro::semaphore steering_{1};
  std::uint64_t beats_ = 0;
  std::map<node_address, std::string> refusals_; ///< last logged, so that each is logged once
};

} // namespace sandy
