#include "machine.hpp"

#include "coro/timer.hpp"
#include "runtime/relay_door.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

const tenant_id alice{"alice"};
const tenant_id bob{"bob"};

/// A machine whose sandboxes can be connected: remembers what leads where.
struct network : machine {
  using names = std::vector<guest::host_name>;
  using open_lines = std::map<std::uint32_t, int>;

  class recorded_door final : public runtime::relay_door {
  public:
    recorded_door(network& of, sandbox_id inside)
        : of_(of)
        , inside_(std::move(inside)) {
      CHECK(of_.doors.emplace(inside_, open_lines{}).second);
    }
    ~recorded_door() override { close(); }
    void post(std::function<void()> work) override { work(); }
    void open(std::uint32_t address, runtime::relay_target target) override {
      CHECK(target.use()); // it is busy meanwhile
      CHECK(target.sockets);
      CHECK(target.closed_port == inside_port);
      of_.doors[inside_][address] = 1;
    }
    void cut(std::uint32_t address) noexcept override {
      of_.present_at_cut = of_.driver.present;
      of_.doors[inside_].erase(address);
    }
    void close() noexcept override {
      of_.present_at_cut = of_.driver.present;
      of_.doors.erase(inside_);
    }

  private:
    network& of_;
    sandbox_id inside_;
  };

  network() {
    env.open_relay = [this](runtime::connection_capture captured,
                            const sandbox_id& inside) -> std::shared_ptr<runtime::relay_door> {
      CHECK((captured.listener && captured.steering));
      if (refuses)
        return nullptr;
      return std::make_shared<recorded_door>(*this, inside);
    };
    env.name_hosts = [this](const sandbox_id& inside, names wanted) {
      return write(inside, std::move(wanted));
    };
  }
  ~network() { end_all(); }

  coro::task<void> write(sandbox_id inside, names wanted) {
    if (stuck)
      co_await coro::sleep_for(1h);
    if (unwritable)
      co_return fail(errc::is_directory, "/etc/hosts is a directory");
    hosts[inside] = std::move(wanted);
    co_return caf::unit;
  }
  sandbox_id make(std::string tenant = "alice") {
    auto made = ask(worker, wanted(std::move(tenant)));
    REQUIRE(made);
    return made->id;
  }
  result<sandbox_connection> connect(const sandbox_id& from, const sandbox_id& to, principal who = alice) {
    return ask(worker, connect_sandboxes{who, from, to});
  }
  std::vector<sandbox_connection> listed(const sandbox_id& id, principal who = alice) {
    auto all = ask(worker, list_connections{who, id});
    REQUIRE(all);
    return *all;
  }
  void restart() {
    kill(worker);
    worker = nullptr;
    run();
    CHECK(doors.empty());
    start();
  }
  bool no_connection_left() const { return doors.empty() && records.joined.empty(); }

  std::map<sandbox_id, open_lines> doors; ///< what is open, by where it leads from
  std::map<sandbox_id, names> hosts;
  std::set<sandbox_id> present_at_cut;
  bool refuses = false, unwritable = false, stuck = false;
};

} // namespace

TEST_CASE_METHOD(network, "a connection has an address, a name and a record, and goes one way",
                 "[connections]") {
  start();
  auto a = make(), b = make();
  auto made = connect(a, b);
  REQUIRE(made);
  CHECK(made->source == a);
  CHECK(made->target == b);
  CHECK(made->created_at == wall());
  CHECK(guest::dotted(made->address) == "127.83.0.1");
  CHECK(doors == std::map<sandbox_id, open_lines>{{a, {{made->address, 1}}}});
  CHECK(hosts[a] == names{{made->address, b.value}});
  CHECK(hosts.count(b) == 0);
  CHECK(records.joined == std::vector{*made});
  CHECK(listed(a) == std::vector{*made});
  CHECK(listed(b) == std::vector{*made});

  auto again = connect(a, b);
  CHECK(again == made);
  CHECK(driver.captures == 1);
  CHECK(records.joined.size() == 1);
}

TEST_CASE_METHOD(network, "addresses are kept while a connection lives, and given again afterwards",
                 "[connections]") {
  start();
  auto a = make(), b = make(), c = make();
  auto first = connect(a, b)->address, second = connect(a, c)->address;
  CHECK(first != second);
  CHECK(connect(b, a)->address == first); // another sandbox's own
  CHECK(ask(worker, disconnect_sandboxes{alice, a, b}));
  CHECK(listed(a).size() == 2);
  CHECK(hosts[a] == names{{second, c.value}});
  CHECK(doors[a] == open_lines{{second, 1}});
  auto d = make();
  CHECK(connect(a, d)->address == first);
  CHECK(ask(worker, disconnect_sandboxes{alice, a, c}));
  CHECK(ask(worker, disconnect_sandboxes{alice, a, d}));
  CHECK(ask(worker, disconnect_sandboxes{alice, a, d})); // as before
  CHECK(doors.count(a) == 0);                            // nothing is captured any more
  CHECK(hosts[a].empty());
  CHECK(records.joined.size() == 1);
}

TEST_CASE_METHOD(network, "a connection ends with either sandbox, before the kernel lets go of it",
                 "[connections]") {
  start();
  auto a = make(), b = make(), c = make();
  auto to_c = connect(a, c);
  CHECK(connect(a, b));
  CHECK(connect(b, a));
  SECTION("the one that is reached") {
    auto ending = b;
    SECTION("terminated") { CHECK(ask(worker, terminate_sandbox{alice, ending})); }
    SECTION("while its kernel objects take their time") {
      held = true;
      auto end = send(worker, terminate_sandbox{alice, ending});
      run();
      CHECK(doors.size() == 1);
      CHECK(code_of(connect(a, ending).error()) == errc::sandbox_not_found);
      held = false;
      release();
      CHECK(end.succeeded());
    }
    CHECK(doors == std::map<sandbox_id, open_lines>{{a, {{to_c->address, 1}}}});
    CHECK(hosts[a] == names{{to_c->address, c.value}});
    CHECK(present_at_cut.count(ending) == 1);
    CHECK(listed(a) == std::vector{*to_c});
    CHECK(records.joined == std::vector{*to_c});
    CHECK(ask(worker, terminate_sandbox{alice, a}));
  }
  SECTION("the one that reaches") {
    CHECK(ask(worker, terminate_sandbox{alice, a}));
    CHECK(present_at_cut.count(a) == 1);
    CHECK(listed(b).empty());
    CHECK(ask(worker, terminate_sandbox{alice, c}));
    CHECK(ask(worker, terminate_sandbox{alice, b}));
  }
  SECTION("both at once") {
    auto first = send(worker, terminate_sandbox{alice, b}),
         second = send(worker, terminate_sandbox{alice, a});
    run();
    CHECK(first.succeeded());
    CHECK(second.succeeded());
  }
  CHECK(no_connection_left());
}

TEST_CASE_METHOD(network, "a connection ends with its sandboxes when a lease runs out or an actor crashes",
                 "[connections]") {
  start();
  auto a = make();
  auto short_lived = ask(worker, wanted("alice", 60))->id;
  auto reaching = GENERATE(true, false);
  auto made = reaching ? connect(short_lived, a) : connect(a, short_lived);
  REQUIRE(made);
  SECTION("a lease") { advance(60s); }
  SECTION("a crash") {
    broken_clock = true; // when its lease is looked at
    advance(60s);
  }
  CHECK(driver.present == std::set{a});
  CHECK(no_connection_left());
  CHECK(listed(a).empty());
}

TEST_CASE_METHOD(network, "only what the caller reaches can be connected, and never to itself",
                 "[connections]") {
  start();
  auto a = make(), b = make(), theirs = make("bob");
  auto request = wanted();
  request.parent = a;
  auto child = ask(worker, request)->id;
  for (const auto& [from, to] :
       {std::pair{a, theirs}, {theirs, a}, {a, make_sandbox_id()}, {make_sandbox_id(), a}}) {
    CHECK(code_of(connect(from, to).error()) == errc::sandbox_not_found);
    CHECK(code_of(ask(worker, disconnect_sandboxes{alice, from, to}).error()) == errc::sandbox_not_found);
  }
  CHECK(code_of(connect(a, a).error()) == errc::invalid_argument);
  CHECK(code_of(ask(worker, list_connections{bob, a}).error()) == errc::sandbox_not_found);
  principal inside{alice, a};
  CHECK(connect(a, child, inside));
  CHECK(code_of(connect(a, b, inside).error()) == errc::sandbox_not_found);
  CHECK(code_of(connect(child, a, principal{alice, child}).error()) == errc::sandbox_not_found);
  CHECK(connect(b, child));
  CHECK(listed(child).size() == 2);
  CHECK(listed(child, inside).size() == 1);
}

TEST_CASE_METHOD(network, "one sandbox has a bounded number of connections", "[connections]") {
  env.settings.max_connections = 2;
  start();
  auto a = make(), b = make(), c = make(), d = make();
  CHECK(connect(a, b));
  CHECK(connect(a, c));
  CHECK(code_of(connect(a, d).error()) == errc::limit_reached);
  CHECK(connect(a, c));
  CHECK(connect(d, a));
  CHECK(ask(worker, disconnect_sandboxes{alice, a, b}));
  CHECK(connect(a, d));
}

TEST_CASE_METHOD(network, "a connection that cannot be made leaves nothing of itself", "[connections]") {
  start();
  auto a = make(), b = make();
  auto code = errc::internal;
  SECTION("because the kernel cannot") {
    driver.fail_capture = true;
    code = errc::feature_unavailable;
  }
  SECTION("because the store is full") { records.full = true; }
  SECTION("because nobody relays") { refuses = true; }
  SECTION("because its name cannot be written") {
    unwritable = true;
    code = errc::is_directory;
  }
  SECTION("because the sandbox does not answer") {
    driver.dead.insert(b);
    code = errc::sandbox_not_found;
  }
  CHECK(code_of(connect(a, b).error()) == code);
  CHECK(no_connection_left());
  CHECK(listed(a).empty());
  driver.fail_capture = records.full = refuses = unwritable = false;
  driver.dead.clear();
  CHECK(connect(a, b));
  CHECK(hosts[a].size() == 1);
}

TEST_CASE_METHOD(network, "a sandbox that does not take its names in time is not connected",
                 "[connections]") {
  start();
  auto a = make(), b = make();
  stuck = true;
  auto asked = send(worker, connect_sandboxes{alice, a, b});
  run();
  CHECK_FALSE(asked.answered());
  CHECK(listed(a).empty()); // half made
  advance(5s);
  advance(5s);
  REQUIRE(asked.answered());
  CHECK(code_of(asked.answer()->error()) == errc::deadline_exceeded);
  CHECK(no_connection_left());
}

TEST_CASE_METHOD(network, "connections are open again after a restart, those that lost an end are forgotten",
                 "[connections]") {
  start();
  auto a = make(), b = make(), c = make();
  auto kept = connect(a, b), lost = connect(a, c), other_way = connect(c, a);
  REQUIRE((kept && lost && other_way));
  kill(worker);
  worker = nullptr;
  run();
  CHECK(doors.empty());
  driver.dead.insert(c); // ended while nobody looked
  stuck = true;          // as a sandbox that is frozen
  start();
  stuck = false;
  CHECK(listed(a) == std::vector{*kept});
  CHECK(doors == std::map<sandbox_id, open_lines>{{a, {{kept->address, 1}}}});
  CHECK(records.joined == std::vector{*kept});
  restart();
  CHECK(listed(a) == std::vector{*kept});
  CHECK(ask(worker, disconnect_sandboxes{alice, a, b}));
  restart();
  CHECK(no_connection_left());
}

TEST_CASE_METHOD(network, "a connection that cannot be opened again is not listed", "[connections]") {
  start();
  auto a = make(), b = make();
  REQUIRE(connect(a, b));
  refuses = true;
  restart();
  CHECK(listed(a).empty());
  CHECK(no_connection_left());
}

TEST_CASE_METHOD(network, "a sandbox is made with its connections, or not at all", "[connections]") {
  env.settings.flavors["basic"].warm = GENERATE(0u, 1u);
  env.settings.max_connections = 2;
  start();
  for (int i = 0; i < 10; ++i)
    advance(1s);
  auto b = make(), c = make(), theirs = make("bob");
  auto request = wanted();
  request.connect_to = {b, c};
  SECTION("made") {
    auto made = ask(worker, request);
    REQUIRE(made);
    CHECK(hosts[made->id].size() == 2);
    CHECK(listed(made->id).size() == 2);
    return;
  }
  SECTION("unknown") {
    request.connect_to[1] = theirs;
    CHECK(code_of(ask(worker, request).error()) == errc::sandbox_not_found);
  }
  SECTION("too many") {
    request.connect_to.push_back(b);
    CHECK(code_of(ask(worker, request).error()) == errc::limit_reached);
  }
  SECTION("not to be done") {
    unwritable = true;
    CHECK(code_of(ask(worker, request).error()) == errc::is_directory);
  }
  CHECK(ask(worker, list_sandboxes{alice})->size() == 2);
  CHECK(no_connection_left());
}

TEST_CASE_METHOD(network, "whoever ends at any moment of a connection's making, nothing of it is left",
                 "[connections]") {
  auto steps = GENERATE(range(0, 40));
  auto target_ends = GENERATE(true, false);
  held = true;
  start();
  release();
  held = false;
  auto a = make(), b = make();
  held = true;
  auto asked = send(worker, connect_sandboxes{alice, a, b});
  auto ending = target_ends ? b : a;
  for (int i = 0; i < steps; ++i) {
    if (!scheduler.try_run_once()) {
      if (calls.empty())
        break;
      auto call = std::move(calls.front());
      calls.pop_front();
      call();
    }
  }
  auto end = send(worker, terminate_sandbox{alice, ending});
  run();
  release();
  REQUIRE(asked.answered());
  REQUIRE(end.answered());
  CHECK(end.succeeded());
  CHECK(no_connection_left());
  CHECK(listed(target_ends ? a : b).empty());
  CHECK((hosts.count(a) == 0 || !target_ends || hosts[a].empty()));
}

TEST_CASE_METHOD(network, "disconnecting and connecting at once end in one state", "[connections]") {
  start();
  auto a = make(), b = make();
  held = true;
  auto first = send(worker, connect_sandboxes{alice, a, b});
  auto then = send(worker, disconnect_sandboxes{alice, a, b});
  auto last = send(worker, connect_sandboxes{alice, a, b});
  run();
  release();
  CHECK(first.succeeded());
  CHECK(then.succeeded());
  REQUIRE(last.succeeded());
  CHECK(records.joined.size() == 1);
  CHECK(doors[a].size() == 1);
  CHECK(hosts[a].size() == 1);
}
