#include "coro/pool.hpp"
#include "http/engine_support.hpp"
#include "http/routes/routes.hpp"
#include "messages/type_ids.hpp"

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

using namespace sandy;
using namespace sandy::tests;

namespace sandy::tests {

std::vector<http::route> test_routes(); // engine_handlers.cpp

} // namespace sandy::tests

namespace {

/// What the limiter in memory decides, and what it was asked. Shared with the test's thread.
struct limiter_script {
  std::mutex mutex;
  admission decision;
  bool silent = false;
  std::vector<std::string> asked; ///< "acme plain"
  std::set<std::uint64_t> leases; ///< asked for and not given back
  std::map<tenant_id, tenant_limits> limits;

  void decide(admission what) {
    std::scoped_lock lock{mutex};
    decision = what;
  }
  std::vector<std::string> questions() {
    std::scoped_lock lock{mutex};
    return asked;
  }
  std::map<tenant_id, tenant_limits> present_limits() {
    std::scoped_lock lock{mutex};
    return limits;
  }
  std::size_t held() {
    std::scoped_lock lock{mutex};
    return leases.size();
  }
};

struct unanswered {
  caf::typed_response_promise<admission> promise;
};

rate_limiter_actor::behavior_type limiter_in_memory(rate_limiter_actor::stateful_pointer<unanswered> self,
                                                    limiter_script* script) {
  return {
      [=](const admit_request& request) -> caf::result<admission> {
        std::scoped_lock lock{script->mutex};
        constexpr const char* costs[]{"plain", "creation", "stream"};
        script->asked.push_back(request.tenant.value + " " + costs[static_cast<int>(request.cost)]);
        if (request.lease != 0)
          script->leases.insert(request.lease);
        if (script->silent)
          return self->state.promise = self->make_response_promise<admission>();
        return script->decision;
      },
      [=](return_lease request) {
        std::scoped_lock lock{script->mutex};
        script->leases.erase(request.lease);
      },
      [=](const get_tenant_limits& request) {
        std::scoped_lock lock{script->mutex};
        return script->limits[request.tenant];
      },
      [=](const set_tenant_limits& request) {
        std::scoped_lock lock{script->mutex};
        return script->limits[request.tenant] = request.limits;
      },
  };
}

/// The test handlers and the API behind a limiter. Keys are the names of their tenants; "root" is an
/// administrator.
class limited_engine : public data_plane {
public:
  /// @param patience how long the limiter may take.
  explicit limited_engine(std::chrono::milliseconds patience = 20s) {
    trace().entered = trace().ended = trace().hang_ups = 0;
    trace().release = false;
    threads.start_bridges(system);
    for (int i = 0; i < 3; ++i)
      context.limiters.push_back(system.spawn(limiter_in_memory, &script));
    context.limits.control_timeout = patience;
    context.authenticate = [](std::string_view key) {
      principal known{tenant_id{std::string{key}}};
      known.admin = key == "root";
      return known;
    };
    auto bound = server.start("127.0.0.1:0");
    REQUIRE(bound);
    port = *bound;
  }
  ~limited_engine() override {
    if (!stopped_)
      CHECK(stop(0ms) == 0);
    for (const auto& each : context.limiters)
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    context.limiters.clear();
    system.await_all_actors_done();
    threads.stop_bridges();
  }
  std::shared_ptr<sandbox_io> find(const sandbox_id&) override { return nullptr; }

  std::size_t stop(std::chrono::milliseconds grace) {
    stopped_ = true;
    return boost::asio::co_spawn(threads.context(0), server.stop(grace), boost::asio::use_future).get();
  }
  static std::string request(const std::string& method_and_target, const std::string& key = "acme",
                             const std::string& body = {}) {
    return method_and_target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  response call(const std::string& method_and_target, const std::string& key = "acme",
                const std::string& body = {}) {
    raw_client client{port};
    REQUIRE(client.send(request(method_and_target, key, body)));
    return client.receive();
  }

  struct configuration : caf::actor_system_config {
    explicit configuration(coro::pool& threads) {
      register_messages(*this);
      threads.use_for(*this);
    }
  };
  static std::vector<http::route> routes() {
    auto table = http::all_routes();
    for (auto each : test_routes()) {
      if (each.pattern == "/hang_up") {
        each.is_public = false;
        each.cost = request_cost::stream;
      } else if (each.pattern == "/echo") {
        each.is_public = false;
        each.cost = request_cost::creation;
      }
      table.push_back(each);
    }
    return table;
  }

  limiter_script script;
  coro::pool threads{2};
  configuration config{threads};
  caf::actor_system system{config};
  metrics::registry metrics{"test", {"basic"}};
  counting_observer observer;
  http::context context{.system = system,
                        .data = *this,
                        .metrics = metrics,
                        .limits = quick_limits(),
                        .ports = http::ingress::port_signer{}};
  http::router router{routes()};
  http::server server{context, router, observer, {&threads.context(0), &threads.context(1)}};
  std::uint16_t port = 0;

private:
  bool stopped_ = false;
};

constexpr admission some_left{budget_kind::none, 0, 100, 42, 7};
constexpr admission nothing_left{budget_kind::requests, 3, 100, 0, 9};

} // namespace

TEST_CASE("every answer to somebody known says what is left of the budget", "[limits]") {
  limited_engine engine;
  engine.script.decide(some_left);
  for (auto target : {"GET /api/things/1", "POST /echo", "GET /api/sandboxes/nonsense"}) {
    INFO(target);
    auto answer = engine.call(target);
    CHECK(answer.fields["ratelimit-limit"] == "100");
    CHECK(answer.fields["ratelimit-remaining"] == "42");
    CHECK(answer.fields["ratelimit-reset"] == "7");
    CHECK_FALSE(answer.fields.contains("retry-after"));
  }
  CHECK(engine.script.questions() == std::vector<std::string>{"acme plain", "acme creation", "acme plain"});
}

TEST_CASE("who needs no key is asked for no budget, and is told of none", "[limits]") {
  limited_engine engine;
  engine.script.decide(nothing_left);
  raw_client client{engine.port};
  REQUIRE(client.send(limited_engine::request("GET /api/things/special")));
  CHECK(client.receive().fields.contains("ratelimit-limit"));
  REQUIRE(client.send(limited_engine::request("GET /tiny"))); // on the same connection
  auto open = client.receive();
  CHECK(open.status == 200);
  CHECK_FALSE(open.fields.contains("ratelimit-limit"));
  REQUIRE(client.send("GET /api/things/1 HTTP/1.1\r\nHost: x\r\n\r\n"));
  auto nobody = client.receive();
  CHECK(nobody.status == 401);
  CHECK_FALSE(nobody.fields.contains("ratelimit-limit"));
  CHECK(engine.script.questions().size() == 1);
}

TEST_CASE("a tenant without limits is told of none", "[limits]") {
  limited_engine engine;
  auto answer = engine.call("GET /api/things/1");
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.fields.contains("ratelimit-limit"));
}

TEST_CASE("a refused request is 429, says when to come back, and reaches no handler", "[limits]") {
  limited_engine engine;
  engine.script.decide(nothing_left);
  raw_client client{engine.port};
  REQUIRE(client.send(limited_engine::request("GET /hang_up")));
  auto no = client.receive();
  CHECK(no.status == 429);
  CHECK(no.fields["retry-after"] == "3");
  CHECK(no.fields["ratelimit-limit"] == "100");
  CHECK(no.fields["ratelimit-remaining"] == "0");
  CHECK(no.fields["ratelimit-reset"] == "9");
  auto body = nlohmann::json::parse(no.body);
  CHECK(body["error"]["code"] == "rate_limited");
  CHECK(body["detail"] == "Request rate limit exceeded.");
  CHECK(trace().entered == 0);
  CHECK(eventually([&] { return engine.script.held() == 0; }));

  engine.script.decide(some_left);
  REQUIRE(client.send(limited_engine::request("GET /api/things/1"))); // the connection goes on
  CHECK(client.receive().status == 200);
}

TEST_CASE("a stream holds its place exactly while it runs, however it ends", "[limits]") {
  limited_engine engine;
  engine.script.decide(some_left);
  SECTION("its client hangs up") {
    raw_client client{engine.port};
    REQUIRE(client.send(limited_engine::request("GET /hang_up")));
    REQUIRE(eventually([] { return trace().entered == 1; }));
    CHECK(engine.script.held() == 1);
    client.shutdown_write();
    CHECK(client.receive().status == 200);
    CHECK(eventually([&] { return engine.script.held() == 0; }));
  }
  SECTION("its client crashes") {
    raw_client client{engine.port};
    REQUIRE(client.send(limited_engine::request("GET /hang_up")));
    REQUIRE(eventually([] { return trace().entered == 1; }));
    client.reset();
    CHECK(eventually([&] { return engine.script.held() == 0; }));
  }
  SECTION("the server stops") {
    raw_client client{engine.port};
    REQUIRE(client.send(limited_engine::request("GET /hang_up")));
    REQUIRE(eventually([] { return trace().entered == 1; }));
    CHECK(engine.stop(0ms) == 0);
    CHECK(eventually([&] { return engine.script.held() == 0; }));
  }
  CHECK(engine.script.questions() == std::vector<std::string>{"acme stream"});
}

TEST_CASE("a limiter that does not answer fails the request in time, and gets its place back", "[limits]") {
  limited_engine engine{100ms};
  engine.script.silent = true;
  auto answer = engine.call("GET /hang_up");
  CHECK(answer.status == 504);
  CHECK(trace().entered == 0);
  CHECK(eventually([&] { return engine.script.held() == 0; }));
}

TEST_CASE("an administrator reads and changes a tenant's limits", "[limits]") {
  limited_engine engine;
  auto read = engine.call("GET /api/admin/limits/acme", "root");
  REQUIRE(read.status == 200);
  CHECK(nlohmann::json::parse(read.body) ==
        nlohmann::json::parse(R"({"tenant": "acme", "requests_per_second": 1000,
    "request_burst": 2000, "creations_per_minute": 600, "creations_per_hour": 10000, "sandboxes": 0, "streams": 1000,
    "memory_bytes": 0})"));

  auto changed = engine.call("PUT /api/admin/limits/acme", "root",
                             R"({"requestsPerSecond": "5", "memory_bytes": 1073741824, "streams": null})");
  REQUIRE(changed.status == 200);
  auto body = nlohmann::json::parse(changed.body);
  CHECK(body["requests_per_second"] == 5);
  CHECK(body["memory_bytes"] == 1073741824);
  CHECK(body["streams"] == 1000); // what is not named stays
  CHECK(engine.call("GET /api/admin/limits/acme", "root").body == changed.body);
  CHECK(engine.call("GET /api/admin/limits/other", "root").body.find("\"requests_per_second\":1000") !=
        std::string::npos);
}

TEST_CASE("limits that make no sense are refused, and nothing changes", "[limits]") {
  limited_engine engine;
  for (auto body : {R"({"streams": -1})", R"({"streams": 1.5})", R"({"requests_per_second": 4294967296})"}) {
    INFO(body);
    CHECK(engine.call("PUT /api/admin/limits/acme", "root", body).status == 400);
  }
  CHECK(engine.call("PUT /api/admin/limits/acme", "root", R"({"streams": "many"})").status == 422);
  CHECK(engine.call("PUT /api/admin/limits/acme", "root", "{").status == 400);
  CHECK(engine.script.present_limits()[tenant_id{"acme"}] == tenant_limits{});
}

TEST_CASE("whoever is no administrator neither reads nor changes limits, not even their own", "[limits]") {
  limited_engine engine;
  for (auto target : {"GET /api/admin/limits/acme", "PUT /api/admin/limits/acme"}) {
    auto no = engine.call(target, "acme", "{}");
    CHECK(no.status == 403);
    CHECK(nlohmann::json::parse(no.body)["error"]["code"] == "forbidden");
  }
  CHECK(engine.script.present_limits().empty());
}
