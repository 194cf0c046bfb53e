#include "messages/type_ids.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/deep_to_string.hpp>
#include <caf/message.hpp>

#include <catch2/catch.hpp>

using namespace sandy;

namespace {

/// An actor system that knows our messages, and nothing runs in it.
struct registered {
  struct configuration : caf::actor_system_config {
    configuration() { register_messages(*this); }
  };
  configuration config;
  caf::actor_system system{config};

  /// Sends a message through bytes, as between two nodes.
  template <class T>
  T round_trip(const T& value) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system, bytes};
    auto message = caf::make_message(value);
    REQUIRE_FALSE(sink(message));
    caf::binary_deserializer source{system, bytes};
    caf::message read;
    REQUIRE_FALSE(source(read));
    REQUIRE(read.match_elements<T>());
    return read.get_as<T>(0);
  }
  template <class T>
  void same_after_round_trip(const T& value) {
    CHECK(caf::deep_to_string(round_trip(value)) == caf::deep_to_string(value));
  }
};

} // namespace

TEST_CASE_METHOD(registered, "every message crosses nodes unchanged", "[serialization]") {
  const sandbox_id id{"0123456789abcdef01234567"};
  const tenant_id alice{"alice"};
  const resource_limits limits{1, 2, 3, 4};
  create_sandbox create{{alice, id}, id,
                        "basic",     "img",
                        limits,      60,
                        1,           true,
                        {80, 443},   {{"K", "V"}, {"", ""}},
                        "/w",        "up",
                        7,           true,
                        {id},        {network_mode::platform, {"a.example"}, {"10.0.0.0/8"}, 9},
                        {8443},      {{"KEY", {"value"}, {"api.example.com"}, true}},
                        true};
  sandbox_info info{id,
                    alice,
                    id,
                    sandbox_state::ready,
                    "basic",
                    "img",
                    limits,
                    3,
                    true,
                    {1},
                    "up",
                    "/w",
                    11,
                    22,
                    33,
                    44,
                    55,
                    true,
                    pause_cause::idle,
                    {network_mode::none, {}, {"b.example"}, 8},
                    {8443},
                    {{"KEY", {"api.example.com"}, true}},
                    {"codex"},
                    "docker",
                    true};
  sandbox_secrets secrets{{{{"KEY", {"value"}, {"api.example.com"}, true}, "placeholder"}}, {{"key"}, "pem"}};
  sandbox_stats stats{id, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  worker_resources resources{false,
                             "full",
                             1,
                             2,
                             {0, 1, 2, 3},
                             0.25,
                             2,
                             1,
                             2,
                             3,
                             10,
                             5,
                             100,
                             50,
                             {{"basic", 1, 2, 3, 4, 5, 6}},
                             {{{"memory", 1, 2, 3, 4, 5}}, 6, 7, 8}};

  same_after_round_trip(create);
  CHECK(round_trip(create).env == create.env);
  CHECK(round_trip(create).secrets == create.secrets); // not shown, so not compared as text
  CHECK(round_trip(claim_sandbox{info, {}, {}, secrets}).secrets == secrets);
  same_after_round_trip(info);
  same_after_round_trip(std::vector<sandbox_info>{info, info});
  same_after_round_trip(stats);
  same_after_round_trip(std::vector<sandbox_stats>{stats});
  same_after_round_trip(resources);
  same_after_round_trip(worker_health{true, 3, {{"basic", 1, 2, 3, 4, 5, 6}}});
  same_after_round_trip(get_sandbox{alice, id});
  same_after_round_trip(list_sandboxes{alice});
  same_after_round_trip(terminate_sandbox{alice, id});
  same_after_round_trip(end_sandbox{end_reason::preempted});
  same_after_round_trip(sandbox_ended{id, end_reason::expired});
  same_after_round_trip(refresh_sandbox{alice, id, 5});
  same_after_round_trip(open_sandbox{alice, id});
  same_after_round_trip(sandbox_opened{id});
  same_after_round_trip(get_stats{alice, {id, id}});
  same_after_round_trip(get_logs{alice, id, 9});
  same_after_round_trip(std::vector<log_line>{{1, "sandbox", "ready"}});
  same_after_round_trip(probe_port{alice, id, 8080});
  same_after_round_trip(get_timeseries{3});
  same_after_round_trip(std::vector<resource_sample>{{1, 0.1, 0.2, 0.3}});
  same_after_round_trip(pause_sandbox{alice, id});
  same_after_round_trip(resume_sandbox{alice, id});
  same_after_round_trip(take_warm{});
  same_after_round_trip(warm_found{id, 5});
  same_after_round_trip(warm_ended{id});
  same_after_round_trip(create_warm{"basic", 60});
  same_after_round_trip(retire_warm{id});
  same_after_round_trip(claim_sandbox{info, {{"K", "V"}}, {{id, info.network}}, secrets});
  same_after_round_trip(close_worker{});
  same_after_round_trip(drain_worker{true});
  same_after_round_trip(sandbox_ending{id, end_reason::preempted});
  same_after_round_trip(std::vector<sandbox_id>{id});
  same_after_round_trip(tenant_limits{1, 2, 3, 4, 5, 6, 7});
  same_after_round_trip(admit_request{alice, request_cost::stream, 1ull << 40});
  same_after_round_trip(admission{budget_kind::creations, 1, 2, 3, 4});
  same_after_round_trip(return_lease{1ull << 40});
  same_after_round_trip(get_tenant_limits{alice});
  same_after_round_trip(set_tenant_limits{alice, {1, 2, 3, 4, 5, 6, 7}});
  life_event event{7, 8, alice, id, id, life_event_type::ended, end_reason::expired};
  same_after_round_trip(event);
  same_after_round_trip(
      read_events{{alice, id}, true, 9, id, {life_event_type::failed, life_event_type::created}, 10, 11});
  same_after_round_trip(event_page{{event, event}, 12, 13, 14, true});
  same_after_round_trip(settle_events{});
  sandbox_connection connection{id, {"x"}, 0x7f530001, 12};
  same_after_round_trip(connection);
  same_after_round_trip(std::vector<sandbox_connection>{connection, connection});
  same_after_round_trip(connect_sandboxes{{alice, id}, id, {"x"}});
  same_after_round_trip(disconnect_sandboxes{{alice, id}, id, {"x"}});
  same_after_round_trip(list_connections{{alice, id}, id});
  same_after_round_trip(sandbox_left{id});
  same_after_round_trip(restore_connections{{id, id}});
  same_after_round_trip(close_events{});
  same_after_round_trip(deliver_events{});
  same_after_round_trip(start_sandbox{});
  same_after_round_trip(list_known{});
  same_after_round_trip(sweep{});
  same_after_round_trip(get_health{});
  same_after_round_trip(get_resources{});
  const container_id container{"ct-0123456789abcdef01234"};
  container_order order{"img", "name", {{"K", "V"}},           "key", "m", "s", {"a", "b"},
                        60,    8081,   restart_policy::always, 3};
  container_info contained{container,
                           id,
                           "img",
                           "name",
                           8080,
                           container_status::restarting,
                           container_health::unhealthy,
                           60,
                           restart_policy::never,
                           2,
                           3,
                           4,
                           5,
                           -6,
                           7,
                           "why",
                           true};
  same_after_round_trip(container);
  same_after_round_trip(run_container{alice, id, order});
  same_after_round_trip(contained);
  same_after_round_trip(std::vector<container_info>{contained, contained});
  same_after_round_trip(list_containers{alice, id});
  same_after_round_trip(get_container{alice, id, container});
  same_after_round_trip(stop_container{alice, id, container, 9});
  same_after_round_trip(remove_container{alice, id, container});
  same_after_round_trip(start_container{});
  same_after_round_trip(describe_container{});
  same_after_round_trip(end_container{9});
  same_after_round_trip(claim_container{1ull << 40, 2, sandbox_id{"4f"}});
  same_after_round_trip(container_claim{id, container, 8080});
  same_after_round_trip(return_container{1ull << 40, true});
  same_after_round_trip(get_container_pool{});
  same_after_round_trip(container_pool_health{"model", "img", 1, 2, 3, 4, 5, 6, "why"});

  const node_card card{"a1b2c3",
                       "w1",
                       "1.2.3",
                       node_role::worker,
                       {"primary"},
                       "10.0.0.1",
                       7332,
                       node_state::draining,
                       {true, 1, 2, 0.5, 4, 1ull << 40, 1ull << 39, {"basic"}},
                       "secret"};
  same_after_round_trip(greet_node{card});
  same_after_round_trip(node_greeting{card, {card, card}});
  same_after_round_trip(report_node{card});
  same_after_round_trip(node_view{card, true, 1'700'000'000'000});
  same_after_round_trip(std::vector<node_view>{{card, false, 1}});
  same_after_round_trip(list_nodes{});
  same_after_round_trip(steer_node{"w1", node_state::cordoned});
  same_after_round_trip(list_cluster_sandboxes{{alice, id}});
  same_after_round_trip(get_cluster_stats{{alice, {id}}});
  same_after_round_trip(get_cluster_resources{});
}
