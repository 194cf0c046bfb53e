#include "actors/membership.hpp"

#include "coro/request.hpp"
#include "coro/timer.hpp"
#include "metrics/log.hpp"

#include <caf/actor_cast.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <iterator>

namespace sandy {

namespace {

using namespace std::chrono_literals;

constexpr auto beat = 1s;
constexpr auto greeting_timeout = 10s;
constexpr std::uint64_t beats_between_greetings = 10;
constexpr auto pause_after_refusal = 30s;
constexpr auto pause_of_the_greater = 300ms;
constexpr auto question_timeout = 5s;
constexpr auto peer_timeout = 2s; // one that dies just now would be waited for
constexpr auto steer_timeout = 10s;

caf::error unreachable_node(const std::string& name) {
  return fail(errc::upstream_error, "The node " + name + " cannot be reached");
}

} // namespace

membership_state::membership_state(self_pointer self, membership_services* env, node_card own,
                                   std::vector<node_address> seeds, worker_actor worker)
    : self_(self)
    , env_(env)
    , own_(std::move(own))
    , seeds_(std::move(seeds))
    , worker_(std::move(worker)) {
  self_->set_down_handler([this](caf::scheduled_actor*, caf::down_msg& down) { lost(down.source); });
}

membership_actor::behavior_type membership_state::make_behavior() {
  publish();
  coro::spawn(live());
  return {
      [this](greet_node message) { return greeted(std::move(message)); },
      [this](report_node message) { reported(std::move(message)); },
      [this](list_nodes) { return views(); },
      [this](steer_node message) { return steer(std::move(message)); },
      [this](list_cluster_sandboxes message) { return gather<sandbox_info>(std::move(message.question)); },
      [this](get_cluster_stats message) { return gather<sandbox_stats>(std::move(message.question)); },
      [this](get_cluster_resources) { return resources(); },
      [this](list_sandboxes question) -> caf::result<std::vector<sandbox_info>> {
        auto all = co_await coro::request(worker_, question_timeout, std::move(question));
        co_return std::move(all);
      },
      [this](get_stats question) -> caf::result<std::vector<sandbox_stats>> {
        auto all = co_await coro::request(worker_, question_timeout, std::move(question));
        co_return std::move(all);
      },
      [this](get_resources question) -> caf::result<worker_resources> {
        auto left = co_await coro::request(worker_, question_timeout, question);
        co_return std::move(left);
      },
  };
}

coro::task<void> membership_state::live() {
  for (;;) {
    co_await look_at_worker();
    look_after_peers();
    publish();
    env_->directory.forget_sent(own_.id);
    report();
    seek();
    co_await coro::sleep_for(beat);
  }
}

coro::task<void> membership_state::look_at_worker() {
  auto left = co_await coro::request(worker_, question_timeout, get_resources{});
  auto& load = own_.load;
  load.can_create = left && left->can_create && own_.role != node_role::controller;
  if (!left)
    co_return caf::unit;
  load.sandboxes = left->sandboxes;
  load.max_sandboxes = own_.role == node_role::controller ? 0 : left->max_sandboxes;
  load.cpu_ratio = left->cpu_ratio;
  load.cpu_count = left->cpu_count;
  load.memory_total_bytes = left->memory_total_bytes;
  load.memory_available_bytes = left->memory_available_bytes;
  load.warm.clear();
  for (const auto& pool : left->pools)
    if (pool.available > 0)
      load.warm.push_back(pool.flavor);
  co_return caf::unit;
}

void membership_state::look_after_peers() {
  const auto now = self_->clock().now();
  for (auto at = peers_.begin(); at != peers_.end();) {
    auto& [id, one] = *at;
    const auto quiet = now - one.heard;
    if (one.reachable && quiet >= silence) {
      one.reachable = false;
      log_event(log_level::warn, "node_unreachable", {{"node", one.card.name}, {"reason", "silence"}});
    }
    if (quiet >= silence && !std::exchange(one.abandoned, true))
      env_->abandon(one.card);
    if (quiet < silence + absence) {
      ++at;
      continue;
    }
    log_event(log_level::warn, "node_lost", {{"node", one.card.name}});
    at = peers_.erase(at);
  }
}

void membership_state::report() {
  for (const auto& each : reachable())
    self_->send(each, report_node{own_});
}

bool membership_state::connected(const node_address& where) const {
  if (auto known = known_ids_.find(where); known != known_ids_.end()) {
    if (known->second == own_.id) // the way to ourselves
      return true;
    if (auto found = peers_.find(known->second); found != peers_.end() && found->second.reachable)
      return true;
  }
  return std::ranges::any_of(peers_, [&](const auto& entry) {
    const auto& card = entry.second.card;
    return entry.second.reachable && card.host == where.host && card.port == where.port;
  });
}

/// Goes to every node that it should know and is not connected to. What others have learned since is asked
/// for now and then: two nodes that lost each other may both still know a third.
void membership_state::seek() {
  const auto now = self_->clock().now();
  std::set<node_address> wanted{seeds_.begin(), seeds_.end()};
  for (const auto& [id, one] : peers_)
    wanted.insert({one.card.host, one.card.port});
  for (const auto& each : wanted) {
    auto later = not_before_.find(each);
    const auto due = later == not_before_.end() || now >= later->second;
    if (due && each != node_address{own_.host, own_.port} && !connected(each) && joining_.insert(each).second)
      coro::spawn(join(each));
  }
  auto known = reachable();
  if (++beats_ % beats_between_greetings == 0 && !known.empty())
    coro::spawn(greet_again(known[beats_ / beats_between_greetings % known.size()]));
}

coro::task<void> membership_state::join(node_address where) {
  auto done = co_await greet(where);
  joining_.erase(where);
  not_before_.erase(where);
  if (done) {
    refusals_.erase(where);
    co_return caf::unit;
  }
  if (code_of(done.error()) == errc::conflict)
    not_before_[where] = self_->clock().now() + pause_after_refusal;
  // Said once, not every second.
  if (auto text = text_of(done.error()); std::exchange(refusals_[where], text) != text)
    log_event(log_level::warn, "cluster_join_failed",
              {{"address", where.host + ":" + std::to_string(where.port)}, {"reason", text}});
  co_return caf::unit;
}

coro::task<void> membership_state::greet(node_address where) {
  auto door = co_await env_->knock(where);
  if (!door)
    co_return std::move(door.error());
  known_ids_[where] = door->id;
  if (door->self) // the way to ourselves has more names than one
    co_return caf::unit;
  if (door->id == own_.id)
    co_return fail(errc::conflict, "the node has the id of this one: was its data directory copied?");
  // Two that find each other at the same time would be in each other's way.
  if (own_.id > door->id)
    co_await coro::sleep_for(pause_of_the_greater);
  if (connected(where))
    co_return caf::unit;
  auto handle = co_await coro::blocking<membership_actor>(
      env_->connections, [connect = env_->connect, at = *door] { return connect(at.host, at.port); });
  if (!handle)
    co_return std::move(handle.error());
  auto greeting = co_await coro::request(*handle, greeting_timeout, greet_node{own_});
  if (!greeting)
    co_return std::move(greeting.error());
  if (auto known = check(greeting->card); !known)
    co_return std::move(known.error());
  welcome(std::move(greeting->card), std::move(*handle));
  meet(greeting->others);
  co_return caf::unit;
}

coro::task<void> membership_state::greet_again(membership_actor whom) {
  auto greeting = co_await coro::request(whom, greeting_timeout, greet_node{own_});
  if (greeting)
    meet(greeting->others);
  co_return caf::unit;
}

/// Goes to nodes that another one knows.
void membership_state::meet(const std::vector<node_card>& others) {
  for (const auto& other : others) {
    node_address there{other.host, other.port};
    if (other.id != own_.id && !peers_.contains(other.id) && joining_.insert(there).second)
      coro::spawn(join(std::move(there)));
  }
}

/// Whether a node may be part of this cluster.
result<void> membership_state::check(const node_card& card) const {
  auto taken = [&](const node_card& by) {
    return fail(errc::conflict, "The node " + card.name + " (" + card.id + ") has the name or the id of " +
                                    by.name + " (" + by.id + ")");
  };
  auto clash = [&](const node_card& other) { return (card.id == other.id) != (card.name == other.name); };
  // One that was started anew elsewhere has left its old place.
  auto is_twin = [&](const peer& one) {
    return one.card.id == card.id && one.reachable && self_->clock().now() - one.heard < 2 * beat &&
           (one.card.host != card.host || one.card.port != card.port);
  };
  if (card.id == own_.id || card.name == own_.name)
    return taken(own_);
  for (const auto& [id, one] : peers_)
    if (clash(one.card) || is_twin(one))
      return taken(one.card);
  return caf::unit;
}

void membership_state::welcome(node_card card, membership_actor handle) {
  auto& one = peers_[card.id];
  if (!one.reachable)
    log_event(log_level::info, "node_joined",
              {{"node", card.name}, {"role", to_string(card.role)}, {"version", card.version}});
  if (one.handle)
    self_->demonitor(one.handle.address());
  self_->monitor(handle);
  one.handle = std::move(handle);
  one.card = std::move(card);
  one.heard = self_->clock().now();
  one.seen_at = env_->wall_clock();
  one.reachable = true;
  one.abandoned = false;
  publish();
}

/// The connection to a node broke, or its process died.
void membership_state::lost(const caf::actor_addr& whom) {
  for (auto& [id, one] : peers_)
    if (one.handle && one.handle.address() == whom) {
      one.handle = nullptr;
      if (std::exchange(one.reachable, false))
        log_event(log_level::warn, "node_unreachable", {{"node", one.card.name}, {"reason", "disconnected"}});
    }
  publish();
}

caf::result<node_greeting> membership_state::greeted(greet_node message) {
  auto from = caf::actor_cast<membership_actor>(self_->current_sender());
  if (!from) // CAF has lost the way back
    return fail(errc::upstream_error, "the node cannot be answered");
  if (auto known = check(message.card); !known) {
    log_event(log_level::warn, "node_refused",
              {{"node", message.card.name}, {"reason", text_of(known.error())}});
    return std::move(known.error());
  }
  node_greeting answer{own_, {}};
  for (const auto& [id, one] : peers_)
    if (one.reachable && id != message.card.id)
      answer.others.push_back(one.card);
  for (auto& other : answer.others)
    other.token_secret.clear();
  welcome(std::move(message.card), std::move(from));
  return answer;
}

void membership_state::reported(report_node message) {
  auto found = peers_.find(message.card.id);
  if (found == peers_.end() || !found->second.reachable)
    return; // it has to be greeted first
  auto& one = found->second;
  if (self_->current_sender() != caf::actor_cast<caf::strong_actor_ptr>(one.handle))
    return; // of another that says to be the same
  const auto steered = one.card.state != message.card.state;
  one.card = std::move(message.card);
  one.heard = self_->clock().now();
  one.seen_at = env_->wall_clock();
  env_->directory.forget_sent(one.card.id);
  if (steered)
    publish(); // the rest is told with the next beat
}

caf::result<node_view> membership_state::steer(steer_node message) {
  if (message.name != own_.name) {
    auto found =
        std::ranges::find(peers_, message.name, [](const auto& entry) { return entry.second.card.name; });
    if (found == peers_.end())
      co_return fail(errc::route_not_found, "There is no node " + message.name);
    if (!found->second.reachable)
      co_return unreachable_node(message.name);
    auto answer = co_await coro::request(found->second.handle, steer_timeout, std::move(message));
    if (answer)
      answer->self = false;
    co_return std::move(answer);
  }
  auto turn = co_await steering_.acquire();
  auto kept = co_await coro::blocking<void>(
      env_->calls, [remember = env_->remember, wish = message.wish] { return remember(wish); });
  if (!kept)
    co_return std::move(kept.error());
  own_.state = message.wish;
  log_event(log_level::info, "node_steered", {{"state", to_string(own_.state)}});
  publish();
  report();
  co_return node_view{own_, true, env_->wall_clock()};
}

std::vector<membership_actor> membership_state::reachable(bool with_controllers) const {
  std::vector<membership_actor> handles;
  for (const auto& [id, one] : peers_)
    if (one.reachable && (with_controllers || one.card.role != node_role::controller))
      handles.push_back(one.handle);
  return handles;
}

node_view membership_state::view_of(const peer& one) const {
  node_view made{one.card, false, one.seen_at};
  if (!one.reachable)
    made.card.state = node_state::unreachable;
  return made;
}

std::vector<node_view> membership_state::views() const {
  std::vector<node_view> all{{own_, true, env_->wall_clock()}};
  for (const auto& [id, one] : peers_)
    all.push_back(view_of(one));
  std::ranges::sort(all, {}, [](const node_view& each) -> const auto& { return each.card.name; });
  return all;
}

void membership_state::publish() { env_->directory.publish({views()}); }

/// Asks this node's worker and others the same, side by side; those that do not answer are left out.
template <class Answer, class Question>
coro::task<std::vector<Answer>>
membership_state::ask_all(Question question, std::vector<membership_actor> others, bool ourselves) {
  auto ask_one = [](auto whom, Question asked, coro::duration timeout) -> coro::task<Answer> {
    auto answer = co_await coro::request(whom, timeout, std::move(asked));
    co_return std::move(answer);
  };
  std::vector<coro::task<Answer>> asked;
  if (ourselves)
    asked.push_back(ask_one(worker_, question, question_timeout));
  for (auto& each : others)
    asked.push_back(ask_one(std::move(each), question, peer_timeout));
  auto answers = co_await coro::when_all(std::move(asked));
  if (!answers)
    co_return std::move(answers.error());
  std::vector<Answer> all;
  for (auto& each : *answers)
    if (each)
      all.push_back(std::move(*each));
  co_return all;
}

/// The lists of all nodes as one.
template <class Item, class Question>
caf::result<std::vector<Item>> membership_state::gather(Question question) {
  auto lists = co_await ask_all<std::vector<Item>>(std::move(question), reachable(), true);
  if (!lists)
    co_return std::move(lists.error());
  std::vector<Item> all;
  for (auto& each : *lists)
    std::ranges::move(each, std::back_inserter(all));
  co_return all;
}

caf::result<worker_resources> membership_state::resources() {
  auto machines = co_await ask_all<worker_resources>(get_resources{}, reachable(false),
                                                     own_.role != node_role::controller);
  if (!machines)
    co_return std::move(machines.error());
  co_return in_all(*machines);
}

} // namespace sandy
