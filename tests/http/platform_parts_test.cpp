#include "http/platform/breaker.hpp"
#include "http/platform/ledger.hpp"
#include "http/platform/metering.hpp"
#include "http/platform/nested_exec.hpp"
#include "http/platform/proxy.hpp"
#include "http/platform/settings.hpp"
#include "metrics/registry.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <optional>

using namespace sandy;
using namespace sandy::http::platform;
using std::chrono::seconds;

namespace {

sandbox_id box(char digit) { return sandbox_id{std::string(24, digit)}; }

service_settings service_at(const std::string& name, const std::string& target) {
  auto made = known_service(name);
  made.target = target;
  return made;
}

struct clock_of_the_test {
  breaker::time_point now{seconds{1000}};
  breaker guard{3, seconds{30}};
  /// One request that ends like that. @param asker 0: nobody could have reached it. @returns whether it
  /// passed.
  bool request(bool good, std::size_t asker = 0) {
    auto pass = guard.ask(now);
    if (!pass.granted())
      return false;
    good ? pass.succeeded() : pass.failed(now, asker);
    return true;
  }
};

/// A request for a model, whose tokens are counted.
struct counted_request {
  counted_request() {
    settings all;
    all.services = {service_at("llm", "http://127.0.0.1:9/v1/chat/completions")};
    all.prices = {{"*", {1'000'000, 2'000'000}}};
    rules = std::move(*proxy::make(all, numbers.platform()));
    meter.emplace(*rules, *rules->find("/v1/chat/completions"), account, "m", 400);
    meter->sent();
  }
  void read(usage_reader& reader, std::string_view text) {
    while (!text.empty()) {
      text.remove_prefix(reader.take(text));
      if (reader.between_events())
        meter->note(reader);
    }
  }
  token_counts counted() const {
    auto used = account->used();
    return {used.input_tokens, used.output_tokens};
  }
  metrics::registry numbers{"test", {}};
  std::unique_ptr<proxy> rules;
  std::shared_ptr<ledger> account = std::make_shared<ledger>(box('a'));
  std::optional<metering> meter;
};

} // namespace

TEST_CASE("a breaker opens after failures in a row, and a probe that succeeds closes it", "[platform]") {
  clock_of_the_test at;
  CHECK((at.request(false) && at.request(false) && at.request(true))); // a success: they begin anew
  CHECK((at.request(false) && at.request(false) && at.request(false)));
  CHECK(at.guard.state(at.now) == breaker_state::open);
  CHECK_FALSE(at.request(true));
  CHECK(at.guard.ask(at.now).waits_until() == at.now + seconds{30});
  at.now += seconds{29};
  CHECK_FALSE(at.request(true));
  at.now += seconds{1};
  CHECK(at.guard.state(at.now) == breaker_state::half_open);
  {
    auto probe = at.guard.ask(at.now);
    REQUIRE(probe.granted());
    CHECK_FALSE(at.request(true)); // one at a time
    probe.succeeded();
  }
  CHECK(at.guard.state(at.now) == breaker_state::closed);
  CHECK((at.request(true) && at.request(true)));
}

TEST_CASE("a probe that fails opens the breaker again, one that is given up leaves it to the next",
          "[platform]") {
  clock_of_the_test at;
  for (int i = 0; i < 3; ++i)
    CHECK(at.request(false));
  at.now += seconds{30};
  {
    auto given_up = at.guard.ask(at.now);
  }
  CHECK(at.request(false));
  CHECK(at.guard.state(at.now) == breaker_state::open);
  at.now += seconds{29};
  CHECK_FALSE(at.request(true));
  at.now += seconds{1};
  CHECK(at.request(true));
  CHECK(at.guard.state(at.now) == breaker_state::closed);
}

TEST_CASE("requests that began before a breaker opened do not keep it open", "[platform]") {
  clock_of_the_test at;
  auto late = at.guard.ask(at.now);
  for (int i = 0; i < 3; ++i)
    CHECK(at.request(false));
  at.now += seconds{20};
  late.failed(at.now, 0);
  at.now += seconds{10};
  CHECK(at.request(true));
}

TEST_CASE("nobody suspends a service for everybody by himself", "[platform]") {
  clock_of_the_test at;
  for (int i = 0; i < 20; ++i)
    CHECK(at.request(false, 7));
  CHECK(at.guard.state(at.now) == breaker_state::closed);
  CHECK(at.guard.rests_until(at.now) == breaker::time_point{});
  CHECK(at.request(false, 8)); // another one sees it too
  CHECK(at.guard.state(at.now) == breaker_state::open);
  CHECK(at.guard.rests_until(at.now) == at.now + seconds{30});
  at.now += seconds{30};
  CHECK(at.request(false, 7)); // a probe
  CHECK(at.guard.state(at.now) == breaker_state::open);
  at.now += seconds{30};
  CHECK(at.request(false, 7)); // who does not keep it open by trying again
  CHECK(at.guard.state(at.now) == breaker_state::half_open);
  CHECK(at.request(true, 8));
  CHECK(at.guard.state(at.now) == breaker_state::closed);
  CHECK((at.request(false, 7) && at.request(true, 8) && at.request(false, 7) && at.request(false, 8)));
  CHECK(at.guard.state(at.now) == breaker_state::closed); // not in a row
}

TEST_CASE("whoever leaves a stream early pays for the events that came", "[platform]") {
  counted_request request;
  usage_reader reader{answer_form::events};
  request.read(reader,
               R"(data: {"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}

)");
  CHECK(request.counted() == token_counts{9, 1});
  for (int i = 0; i < 29; ++i)
    request.read(reader, "data: {\"type\":\"content_block_delta\"}\n\n");
  CHECK(request.counted() == token_counts{9, 30});
  SECTION("left") {
    request.meter->close(reader, false);
    CHECK(request.counted() == token_counts{9, 30});
  }
  SECTION("read to its end, which says the sum") {
    request.read(reader, "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":12}}\n\n");
    request.meter->close(reader, true);
    CHECK(request.counted() == token_counts{9, 12});
  }
  request.meter.reset(); // nothing more
  CHECK(request.counted().input == 9);
}

TEST_CASE("whoever leaves an answer early pays for what was announced, or came", "[platform]") {
  counted_request request;
  usage_reader reader{answer_form::json};
  SECTION("before it came") {
    request.meter.reset();
    CHECK(request.counted() == token_counts{100, 0});
  }
  SECTION("within it") {
    request.read(reader, std::string(80, ' '));
    request.meter->close(reader, false);
    CHECK(request.counted() == token_counts{100, 20});
  }
  SECTION("after its head") {
    request.meter->close(reader, false, 4000);
    CHECK(request.counted() == token_counts{100, 1000});
  }
  SECTION("when it had said what it took") {
    request.read(reader, R"({"usage":{"prompt_tokens":5,"completion_tokens":6},)");
    request.meter->close(reader, false, 4000);
    CHECK(request.counted() == token_counts{5, 6});
  }
  SECTION("it was refused") {
    request.meter->nothing();
    request.meter->close(reader, false, 4000);
    CHECK(request.counted() == token_counts{0, 0});
  }
}

TEST_CASE("what a child uses counts for its parent, and a parent's budget binds its child", "[platform]") {
  ledger_table table;
  auto parent_lease = table.lease(box('a'));
  auto child_lease = table.lease(box('b'));
  auto parent = table.find(box('a')), child = table.find(box('b'));
  parent->adopt(nullptr);
  child->adopt(parent);
  child->adopt(nullptr); // the first holds
  const budget limits{4, 1000, 0};
  CHECK(child->admit(limits, 5) == spent_part::none);
  child->add_tokens(100, 20, 7);
  CHECK(child->used() == usage{1, 100, 20, 5007, 0});
  CHECK(parent->used() == usage{1, 100, 20, 5007, 0});
  parent->add_tokens(800, 80, 0);
  CHECK(child->spent(limits, 0) == spent_part::tokens); // the parent's are used up
  CHECK(child->admit(limits, 0) == spent_part::tokens);
  CHECK(child->used().requests == 1);               // what is refused is not counted
  CHECK(child->passed(limits) == spent_part::none); // exactly used up
  parent->add_tokens(0, 1, 0);
  CHECK(child->passed(limits) == spent_part::tokens);
  child_lease.reset();
  CHECK(table.find(box('b')) == nullptr);
  CHECK(parent->used().input_tokens == 900); // it stays counted
}

TEST_CASE("a budget of requests and one of money refuse what would go over them", "[platform]") {
  ledger requests{box('a')};
  CHECK(requests.admit({2, 0, 0}, 0) == spent_part::none);
  CHECK(requests.admit({2, 0, 0}, 0) == spent_part::none);
  CHECK(requests.admit({2, 0, 0}, 0) == spent_part::requests);
  ledger money{box('b')};
  CHECK(money.spent({0, 0, 10}, 6) == spent_part::none); // it counts nothing
  CHECK(money.spent({0, 0, 10}, 6) == spent_part::none);
  CHECK(money.admit({0, 0, 10}, 6) == spent_part::none);
  CHECK(money.spent({0, 0, 10}, 6) == spent_part::cost);
  CHECK(money.admit({0, 0, 10}, 6) == spent_part::cost);
  CHECK(money.admit({0, 0, 10}, 4) == spent_part::none);
  CHECK(money.admit({0, 0, 10}, 0) == spent_part::cost);
  CHECK(money.admit({}, 1'000'000) == spent_part::none); // no limits
}

TEST_CASE("amounts are read and written exactly", "[platform]") {
  for (auto text : {"0", "1", "0.15", "0.000001", "1000000000", "12.5"}) {
    auto read = parse_amount(text);
    REQUIRE(read);
    CHECK(print_amount(*read) == text);
  }
  CHECK(*parse_amount("2.50") == 2'500'000);
  for (auto text : {"", ".", "1.", ".5", "-1", "1e3", "0.0000001", "1.2.3", "1000000001", " 1", "0x1"})
    CHECK_FALSE(parse_amount(text));
}

TEST_CASE("a proxy has the services that are configured, at their paths and aliases alone", "[platform]") {
  metrics::registry numbers{"test", {}};
  settings all;
  all.services = {service_at("llm", "http://127.0.0.1:9/v1/chat/completions"),
                  service_at("search", "http://127.0.0.1:9/api/search")};
  all.prices = {{"small", {150'000, 600'000}}, {"*", {1'000'000, 2'000'000}}};
  auto made = proxy::make(all, numbers.platform());
  REQUIRE(made);
  auto& proxy = **made;
  REQUIRE(proxy.find("/v1/chat/completions") != nullptr);
  CHECK(proxy.find("/v1/inference/completions") == proxy.find("/v1/chat/completions"));
  CHECK(proxy.find("/v1/web/search") == proxy.find("/search"));
  CHECK(proxy.find("/v1/embeddings") == nullptr);
  CHECK(proxy.find("/v1/chat/completions/") == nullptr);
  CHECK(proxy.find("/search")->allows("GET"));
  CHECK_FALSE(proxy.find("/v1/chat/completions")->allows("GET"));
  CHECK(proxy.cost_of(1000, 10, "small", "large") == 1000 * 150 + 10 * 600);
  CHECK(proxy.cost_of(1000, 10, "other", "small") == 1000 * 150 + 10 * 600);
  CHECK(proxy.cost_of(1, 1, "", "") == 3000);
  CHECK(proxy.use_key(box('a'), "a\r\nb").error() == errc::invalid_argument);
}

TEST_CASE("services that cannot work are refused with a reason", "[platform]") {
  auto reason = [](auto change) {
    auto one = service_at("llm", "https://llm.example.com/v1/chat/completions");
    change(one);
    auto good = check(one);
    return good ? std::string{} : text_of(good.error());
  };
  using one = service_settings;
  CHECK(reason([](one&) {}) == "");
  CHECK(reason([](one& s) { s.target = "ftp://x/"; }).find("target") != std::string::npos);
  CHECK(reason([](one& s) { s.target.clear(); }) == "needs a target");
  CHECK(reason([](one& s) { s.path = "v1"; }).find("path") != std::string::npos);
  CHECK(reason([](one& s) { s.aliases = {"/a?b"}; }).find("path") != std::string::npos);
  CHECK(reason([](one& s) { s.key = "a\nb"; }).find("key") != std::string::npos);
  CHECK(reason([](one& s) { s.pass_headers = {"Cookie"}; }).find("Cookie") != std::string::npos);
  CHECK(reason([](one& s) { s.auth_header = "X-Key", s.pass_headers = {"x-key"}; }) != "");
  CHECK(reason([](one& s) { s.methods = {"GET it"}; }).find("method") != std::string::npos);
  CHECK(reason([](one& s) { s.name = "Big"; }).find("name") != std::string::npos);
  settings all;
  all.services = {service_at("llm", "http://h/"), service_at("embeddings", "http://h/")};
  CHECK(check(all));
  all.services[1].aliases = {"/v1/chat/completions"};
  CHECK(text_of(check(all).error()).find("taken") != std::string::npos);
  all.services = {service_at("llm", "http://h/")};
  all.services[0].aliases = {"/sandbox/exec"};
  CHECK(check(all));
  all.exec = true;
  CHECK_FALSE(check(all));
}

TEST_CASE("a budget of money needs a price of every model whose tokens are counted", "[platform]") {
  settings all;
  all.services = {service_at("llm", "http://h/")};
  all.limits.cost = 5;
  all.prices = {{"small", {150'000, 600'000}}};
  CHECK(text_of(check(all).error()).find("platform_prices") != std::string::npos);
  SECTION("all the others") {
    all.prices["*"] = {0, 0};
    CHECK(check(all));
  }
  SECTION("nothing is counted") {
    all.services = {service_at("search", "http://h/")};
    CHECK(check(all));
  }
  SECTION("no such budget") {
    all.limits = {1, 1, 0};
    CHECK(check(all));
  }
}

TEST_CASE("nested execution takes a command or code, and bounds code", "[platform]") {
  auto parse = [](const char* text) { return parse_nested(nlohmann::json::parse(text), seconds{600}); };
  auto command = parse(R"({"command":"ls","cwd":"/tmp","env":{"A":"1"},"timeoutMs":1500,"stream":true})");
  REQUIRE(command);
  CHECK(command->spec.script == "ls");
  CHECK(command->spec.cwd == "/tmp");
  CHECK(command->spec.timeout == std::chrono::milliseconds{1500});
  CHECK(command->language == "");
  CHECK(command->child.value == "");
  auto code = parse(R"({"language":"JS","code":"1","timeout":600,"sandbox_id":"bbbbbbbbbbbbbbbbbbbbbbbb"})");
  REQUIRE(code);
  CHECK(code->language == "javascript");
  CHECK(code->spec.timeout == seconds{60});
  CHECK(code->child == box('b'));
  CHECK(code_file(*code) == "main.js");
  CHECK(script_for(*code, "/tmp/x").find("node main.js") != std::string::npos);
  CHECK(parse(R"x({"code":"print(1)"})x")->language == "python");
  CHECK(code_of(parse(R"({"code":"1","language":"cobol"})").error()) == errc::invalid_argument);
  CHECK(code_of(parse("{}").error()) == errc::validation_failed);
  CHECK(code_of(parse(R"({"code":5})").error()) == errc::validation_failed);
  CHECK(code_of(parse(R"({"command":"ls","sandbox_id":"../x"})").error()) == errc::sandbox_not_found);
}
