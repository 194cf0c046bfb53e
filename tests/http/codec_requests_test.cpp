#include "http/codec/create.hpp"
#include "http/codec/exec.hpp"
#include "http/codec/fields.hpp"
#include "http/codec/files.hpp"
#include "http/codec/quantity.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace sandy;
using namespace sandy::http::codec;
using namespace std::string_view_literals;
using namespace std::chrono_literals;

namespace {

nlohmann::json object(std::string_view text) {
  auto parsed = parse_object(text);
  REQUIRE(parsed);
  return *parsed;
}

create_sandbox created(std::string_view text) {
  INFO(text);
  auto request = parse_create(object(text));
  REQUIRE(request);
  return request->message;
}

exec_request executed(std::string_view text) {
  INFO(text);
  auto request = parse_exec(object(text), 600s);
  REQUIRE(request);
  return *request;
}

/// The code and the sentence of what is refused.
template <class T>
std::pair<errc, std::string> refusal(const result<T>& outcome) {
  REQUIRE_FALSE(outcome);
  return {code_of(outcome.error()), text_of(outcome.error())};
}

} // namespace

TEST_CASE("a body is one JSON object, and nothing is an empty one", "[codec]") {
  for (auto text : {"", " \n\t", "null", "{}", " {} "})
    CHECK(object(text).empty());
  for (auto text :
       {"{", "{}{}", "{\"a\":nul}", "\xff\xfe", "{\"a\":\"\xff\"}", "{'a':1}", "{\"a\":1,}", "NaN"}) {
    INFO(text);
    CHECK(refusal(parse_object(text)).first == errc::invalid_argument);
  }
  for (auto text : {"[]", "7", "\"text\"", "true"})
    CHECK(refusal(parse_object(text)).first == errc::validation_failed);
}

TEST_CASE("nesting is bounded, but not by brackets in strings", "[codec]") {
  auto nested = [](std::size_t depth) {
    return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  CHECK(parse_object(nested(max_json_depth)));
  CHECK(refusal(parse_object(nested(max_json_depth + 1))).first == errc::invalid_argument);
  CHECK(refusal(parse_object(std::string(1'000'000, '['))).first == errc::invalid_argument);
  CHECK(parse_object("{\"a\":\"" + std::string(1000, '[') + "\\\"{{{\"}"));
}

TEST_CASE("an empty create asks for the defaults", "[codec]") {
  auto message = created("{}");
  CHECK(message.flavor == "basic");
  CHECK(message.image.empty());
  CHECK(message.priority == 2);
  CHECK_FALSE(message.preemptable);
  CHECK(message.ttl_seconds == 0);
  CHECK(message.limits.memory_bytes == 0);
  CHECK(message.expose_ports.empty());
  CHECK(message.env.empty());
  CHECK(message.workdir.empty()); // the image's
}

TEST_CASE("priorities are numbers, numeric strings or words in any case", "[codec]") {
  const std::vector<std::pair<std::string, int>> table{
      {"0", 0},          {"1", 1},       {"2", 2},        {"3", 3},          {"\"1\"", 1},
      {"3.0", 3},        {"\"low\"", 3}, {"\"High\"", 1}, {"\"NORMAL\"", 2}, {"\"critical\"", 0},
      {"\" high \"", 1}, {"null", 2}};
  for (const auto& [value, priority] : table)
    CHECK(created("{\"priority\":" + value + "}").priority == priority);
  for (auto value : {"4", "-1", "1.5", "\"urgent\"", "\"\""})
    CHECK(refusal(parse_create(object("{\"priority\":" + std::string{value} + "}"))).first ==
          errc::invalid_argument);
  for (auto value : {"[]", "{}", "true"})
    CHECK(refusal(parse_create(object("{\"priority\":" + std::string{value} + "}"))).first ==
          errc::validation_failed);
}

TEST_CASE("of several lifetimes the first in the order of the contract counts", "[codec]") {
  const std::vector<std::pair<std::string, std::uint32_t>> table{
      {R"({"ttl_seconds":120})", 120},
      {R"({"ttlSeconds":"120"})", 120},
      {R"({"timeout_seconds":120.0})", 120},
      {R"({"timeoutSeconds":120})", 120},
      {R"({"timeout":120})", 120},
      {R"({"timeout_minutes":2})", 120},
      {R"({"timeoutMinutes":0.5})", 30},
      {R"({"timeout_minutes":9,"timeout":8,"timeout_seconds":7,"ttl_seconds":6})", 6},
      {R"({"timeout_minutes":9,"timeout":8,"timeout_seconds":7})", 7},
      {R"({"timeout_minutes":9,"timeout":8})", 8},
      {R"({"ttl_seconds":null,"timeout":5})", 5},
      {R"({"ttl_seconds":0})", 0},
      {R"({"ttl_seconds":-5})", 0},
      {R"({"ttl_seconds":1e30})", 4294967295u},
  };
  for (const auto& [text, seconds] : table) {
    INFO(text);
    CHECK(created(text).ttl_seconds == seconds);
    CHECK(*parse_ttl(object(text)) == seconds);
  }
  CHECK(refusal(parse_create(object(R"({"ttl_seconds":"soon"})"))) ==
        std::pair{errc::validation_failed, std::string{"ttl_seconds must be a number"}});
}

TEST_CASE("an idle timeout is in seconds, nothing asks for the usual one, and 0 for none", "[codec]") {
  const std::vector<std::pair<std::string, std::uint32_t>> table{
      {R"({})", usual_idle_timeout},
      {R"({"idle_timeout_seconds":90})", 90},
      {R"({"idleTimeoutSeconds":"90"})", 90},
      {R"({"idle_timeout":89.2})", 90},
      {R"({"idleTimeout":90})", 90},
      {R"({"idle_timeout_seconds":null})", usual_idle_timeout},
      {R"({"idle_timeout_seconds":0})", 0},
      {R"({"idle_timeout_seconds":-1})", 0},
      {R"({"idle_timeout_seconds":1e30})", usual_idle_timeout - 1},
  };
  for (const auto& [text, seconds] : table) {
    INFO(text);
    CHECK(created(text).idle_timeout_seconds == seconds);
  }
  CHECK_FALSE(created("{}").pause_on_idle);
  CHECK(created(R"({"pause_on_idle":true})").pause_on_idle);
  CHECK(created(R"({"pauseOnIdle":"yes"})").pause_on_idle);
}

TEST_CASE("ports are the union of both fields, each once", "[codec]") {
  using ports = std::vector<std::uint16_t>;
  CHECK(created(R"({"expose_ports":[3000,"8080"],"ports":[8080,5173.0]})").expose_ports ==
        ports{3000, 8080, 5173});
  CHECK(created(R"({"exposePorts":[1,65535]})").expose_ports == ports{1, 65535});
  CHECK(created(R"({"ports":null})").expose_ports.empty());
  for (auto value : {"[0]", "[65536]", "[-1]", "[80.5]"})
    CHECK(refusal(parse_create(object("{\"ports\":" + std::string{value} + "}"))).first ==
          errc::invalid_argument);
  for (auto value : {"\"80\"", "80", "[{}]", "[\"x\"]", "[null]"})
    CHECK(refusal(parse_create(object("{\"ports\":" + std::string{value} + "}"))).first ==
          errc::validation_failed);
}

TEST_CASE("resources come in all their forms", "[codec]") {
  constexpr std::uint64_t mib = 1024 * 1024;
  const std::vector<std::pair<std::string, resource_limits>> table{
      {R"({"cpu":2,"memory_mb":4096,"disk_gb":10})", {4096 * mib, 2000, 0, 10240 * mib}},
      {R"({"cpu":"2","memory":"4Gi","gpu":true})", {4096 * mib, 2000, 0, 0}},
      {R"({"cpu":"500m","memory":"512Mi","disk":"1Gi"})", {512 * mib, 500, 0, 1024 * mib}},
      {R"({"cpu":0.25,"memoryMb":"64","diskGb":0.5,"pids":"100"})", {64 * mib, 250, 100, 512 * mib}},
      {R"({"memory":"1G","disk":"1T"})", {1'000'000'000, 0, 0, 1'000'000'000'000}},
      {R"({"memory":536870912})", {512 * mib, 0, 0, 0}},
      {R"({"memory":null,"cpu":null})", {}},
      {R"({})", {}},
  };
  for (const auto& [text, limits] : table) {
    INFO(text);
    auto message = created("{\"resources\":" + text + "}");
    CHECK(message.limits.memory_bytes == limits.memory_bytes);
    CHECK(message.limits.cpu_millis == limits.cpu_millis);
    CHECK(message.limits.pids == limits.pids);
    CHECK(message.limits.disk_bytes == limits.disk_bytes);
  }
  for (auto text : {R"({"memory":"lots"})", R"({"memory":"-1Gi"})", R"({"memory":"1Qi"})", R"({"memory":""})",
                    R"({"cpu":-1})", R"({"memory_mb":-1})", R"({"disk_gb":1e300})", R"({"memory":512})",
                    R"({"pids":-1})", R"({"cpu":"x"})"}) {
    INFO(text);
    auto [code, sentence] = refusal(parse_create(object("{\"resources\":" + std::string{text} + "}")));
    CHECK(code == errc::invalid_argument);
    CHECK(sentence.find("resources.") != std::string::npos);
  }
  for (auto text :
       {"7", "[]", R"({"cpu":[]})", R"({"memory":{}})", R"({"memory_mb":"x"})", R"({"gpu":"maybe"})"})
    CHECK(refusal(parse_create(object("{\"resources\":" + std::string{text} + "}"))).first ==
          errc::validation_failed);
}

TEST_CASE("amounts of bytes and cores are read as Kubernetes writes them", "[codec]") {
  CHECK(parse_bytes("1.5Gi"sv) == 1'610'612'736);
  CHECK(parse_bytes("10"sv) == 10);
  CHECK(parse_bytes("4GiB"sv) == parse_bytes("4Gi"sv));
  CHECK(parse_bytes("4GB"sv) == 4'000'000'000);
  CHECK(parse_bytes("4 gi"sv) == parse_bytes("4Gi"sv));
  CHECK(parse_bytes("2k"sv) == 2000);
  for (auto text : {"", "Gi", "1i", "1.2.3Gi", "1e400", "1Gi2", "99999999999Ti", "0x10"})
    CHECK_FALSE(parse_bytes(text));
  CHECK(parse_cores("1500m"sv) == 1500);
  CHECK(parse_cores("0.5"sv) == 500);
  for (auto text : {"", "m", "1mm", "-1", "1e9", "inf", "nan"})
    CHECK_FALSE(parse_cores(text));
}

TEST_CASE("environments are merged, and the first spelling wins", "[codec]") {
  auto message = created(
      R"({"env_vars":{"A":"3","C":"4"},"envVars":{"A":"2","B":7},"env":{"A":"1","D":true,"E":null,"F":""}})");
  environment sorted = message.env;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == environment{{"A", "1"}, {"B", "7"}, {"C", "4"}, {"D", "true"}, {"F", ""}});
  for (auto value : {"\"A=1\"", "[\"A=1\"]", "7", "{\"A\":{}}", "{\"A\":[]}"})
    CHECK(refusal(parse_create(object("{\"env\":" + std::string{value} + "}"))).first ==
          errc::validation_failed);
  for (auto value : {R"({"":"x"})", R"({"A=B":"x"})", R"({"A":"x\u0000y"})"})
    CHECK(refusal(parse_create(object("{\"env\":" + std::string{value} + "}"))).first ==
          errc::invalid_argument);
  CHECK(refusal(parse_create({{"env", {{"A", std::string(600'000, 'x')}}}})).first == errc::invalid_argument);
}

TEST_CASE("switches are booleans, words or numbers", "[codec]") {
  for (auto value : {"true", "\"true\"", "1", "\"YES\""})
    CHECK(created("{\"preemptible\":" + std::string{value} + "}").preemptable);
  for (auto value : {"false", "\"0\"", "0", "null"})
    CHECK_FALSE(created("{\"preemptable\":" + std::string{value} + "}").preemptable);
  for (auto value : {"\"perhaps\"", "[]", "2", "\"\""})
    CHECK(refusal(parse_create(object("{\"preemptable\":" + std::string{value} + "}"))).first ==
          errc::validation_failed);
}

TEST_CASE("what cannot be honoured is accepted and said", "[codec]") {
  for (auto text :
       {R"({"browserSession":{"type":"inline"}})", R"({"browser_session":{}})",
        R"({"agent":{"type":"codex"}})", R"({"resources":{"gpu":true}})", R"({"image":"janus-runtime"})"}) {
    INFO(text);
    auto request = parse_create(object(text));
    REQUIRE(request);
    CHECK(request->warnings.size() == 1);
    CHECK(request->message.image.empty());
  }
  for (auto text : {R"({"enableDockerSocket":true})", R"({"enable_docker_socket":"true"})",
                    R"({"image":"sandy-docker"})"}) {
    INFO(text);
    CHECK(created(text).docker_socket);
    CHECK(created(text).image.empty());
    sandbox_info made;
    made.flavor = "basic";
    CHECK(differences(created(text), made).size() == 1);
  }
  for (auto text : {R"({"enableVnc":true})", R"({"enable_vnc":true})", R"({"vnc":1})"}) {
    INFO(text);
    CHECK(parse_create(object(text))->desktop);
    CHECK_FALSE(parse_create(object(text))->browser);
  }
  for (auto text : {R"({"enableBrowser":true})", R"({"enable_browser":true})"})
    CHECK(parse_create(object(text))->browser);
  CHECK_FALSE(parse_create(object("{}"))->desktop);
  for (auto text : {R"({"enableVnc":false})", R"({"agent":null})", R"({"upstream":"docker-primary"})",
                    R"({"unknown":{"a":[1]}})"})
    CHECK(parse_create(object(text))->warnings.empty());
  CHECK(created(R"({"image":"sandy-runtime:agent-ready"})").flavor == "agent-ready");
  CHECK(created(R"({"image":"ghcr.io/a/b:latest"})").image == "ghcr.io/a/b:latest");
  CHECK(created(R"({"upstream":"docker-primary"})").upstream == "docker-primary");
}

TEST_CASE("the answer says where the sandbox is less than the wish", "[codec]") {
  create_sandbox wish;
  sandbox_info made;
  made.flavor = "basic";
  made.limits = {1024, 1000, 10, 1024};
  made.ttl_seconds = 10;
  CHECK(differences(wish, made).empty());
  wish.flavor = "agent-ready";
  wish.limits = {2048, 2000, 20, 2048};
  wish.ttl_seconds = 20;
  CHECK(differences(wish, made).size() == 6);
  made.pause_on_idle = true;
  CHECK(differences(wish, made).size() == 7);
  made.idle_timeout_seconds = 5;
  CHECK(differences(wish, made).size() == 6);
}

TEST_CASE("directories are absolute or relative to the workspace", "[codec]") {
  CHECK(created(R"({"working_directory":"/srv"})").workdir == "/srv");
  CHECK(created(R"({"workdir":"app"})").workdir == "/workspace/app");
  CHECK(refusal(parse_create(object(R"({"workdir":"a\u0000b"})"))).first == errc::invalid_argument);
  CHECK(refusal(parse_create(object(R"({"workdir":{}})"))).first == errc::validation_failed);
}

TEST_CASE("the timeout of a command is in milliseconds or in seconds", "[codec]") {
  const std::vector<std::pair<std::string, std::chrono::milliseconds>> table{
      {"", 600s},
      {R"(,"timeoutMs":1500)", 1500ms},
      {R"(,"timeout_ms":"1500")", 1500ms},
      {R"(,"timeout":300)", 300s},
      {R"(,"timeout":0.5)", 500ms},
      {R"(,"timeout":60,"timeoutMs":1000)", 1000ms},
      {R"(,"timeout":60,"timeoutMs":null)", 60s},
      {R"(,"timeoutMs":0)", 600s},
      {R"(,"timeout":-1)", 600s},
      {R"(,"timeoutMs":1e300)", 2147483647ms},
  };
  for (const auto& [text, timeout] : table)
    CHECK(executed("{\"command\":\"true\"" + text + "}").spec.timeout == timeout);
}

TEST_CASE("a command has three forms", "[codec]") {
  CHECK(executed(R"({"command":""})").form == exec_form::whole);
  CHECK(executed(R"({"command":"a","stream":true})").form == exec_form::stream);
  auto background = executed(R"({"command":"a","background":true,"stdin":true,"ring_bytes":4096})");
  CHECK(background.form == exec_form::background);
  CHECK(background.spec.open_stdin);
  CHECK(background.spec.ring_bytes == 4096);
  CHECK(background.spec.timeout == 0ms);
  CHECK(executed(R"({"command":"a","background":true,"timeout":1})").spec.timeout == 1s);
  auto whole = executed(R"({"command":"a && b\n","cwd":"sub","env":{"A":"1"}})").spec;
  CHECK(whole.script == "a && b\n");
  CHECK(whole.cwd == "sub");
  CHECK(whole.env == environment{{"A", "1"}});
  CHECK_FALSE(whole.kill_on_disconnect);
}

TEST_CASE("a command that makes no sense is refused with the field's name", "[codec]") {
  const std::vector<std::pair<std::string, errc>> table{
      {R"({})", errc::validation_failed},
      {R"({"command":null})", errc::validation_failed},
      {R"({"command":7})", errc::validation_failed},
      {R"({"command":["a"]})", errc::validation_failed},
      {R"({"command":"a\u0000b"})", errc::invalid_argument},
      {R"({"command":"a","timeout":"x"})", errc::validation_failed},
      {R"({"command":"a","stream":"x"})", errc::validation_failed},
      {R"({"command":"a","cwd":7})", errc::validation_failed},
      {R"({"command":"a","cwd":""})", errc::invalid_argument},
      {R"({"command":"a","stream":true,"background":true})", errc::invalid_argument},
      {R"({"command":"a","stdin":true})", errc::invalid_argument},
      {R"({"command":"a","background":true,"ring_bytes":1e12})", errc::invalid_argument},
  };
  for (const auto& [text, code] : table) {
    INFO(text);
    CHECK(refusal(parse_exec(object(text), 600s)).first == code);
  }
  CHECK(refusal(parse_exec(object("{}"), 600s)).second == "command is required");
}

TEST_CASE("signals have names and numbers", "[codec]") {
  for (auto [value, signal] : std::vector<std::pair<std::string, int>>{
           {"\"TERM\"", 15}, {"\"SIGINT\"", 2}, {"\"usr1\"", 10}, {"9", 9}, {"\"9\"", 9}, {"64", 64}})
    CHECK(parse_signal(object("{\"signal\":" + value + "}"))->signal == signal);
  CHECK(parse_signal(object(R"({"signal":15})"))->tree);
  CHECK_FALSE(parse_signal(object(R"({"signal":15,"tree":false})"))->tree);
  for (auto value : {"0", "65", "-1", "1.5", "\"NOPE\"", "\"\""})
    CHECK(refusal(parse_signal(object("{\"signal\":" + std::string{value} + "}"))).first ==
          errc::invalid_argument);
  for (auto value : {"null", "[]", "true"})
    CHECK(refusal(parse_signal(object("{\"signal\":" + std::string{value} + "}"))).first ==
          errc::validation_failed);
}

TEST_CASE("standard input is text or base64", "[codec]") {
  auto text = parse_stdin(object(R"({"data":"aGk=","close":true})"));
  CHECK((text->bytes == "aGk=" && text->close));
  CHECK(parse_stdin(object(R"({"data":"aGk=","encoding":"BASE64"})"))->bytes == "hi");
  CHECK(parse_stdin(object(R"({"close":true})"))->bytes.empty());
  CHECK(refusal(parse_stdin(object("{}"))).first == errc::validation_failed);
  CHECK(refusal(parse_stdin(object(R"({"data":7})"))).first == errc::validation_failed);
  CHECK(refusal(parse_stdin(object(R"({"data":"*","encoding":"base64"})"))).first == errc::invalid_argument);
  CHECK(refusal(parse_stdin(object(R"({"data":"a","encoding":"latin1"})"))).first == errc::invalid_argument);
}

TEST_CASE("file requests name their paths", "[codec]") {
  CHECK(parse_mkdir(object(R"({"path":"a/b","mode":"0700"})"))->mode == 0700);
  CHECK(refusal(parse_mkdir(object("{}"))).second == "path is required");
  auto move = parse_move(object(R"({"source":"a","destination":"b","overwrite":true})"));
  CHECK((move->from == "a" && move->to == "b" && move->overwrite));
  CHECK(refusal(parse_move(object(R"({"from":"a"})"))).second == "to is required");
  CHECK(refusal(parse_move(object(R"({"from":"a","to":""})"))).first == errc::invalid_argument);
  CHECK(parse_archive(object("{}"))->path == "/workspace");
  CHECK(parse_archive(object(R"({"format":"tar.gz"})"))->gzip);
  CHECK(refusal(parse_archive(object(R"({"format":"zip"})"))).first == errc::invalid_argument);
  CHECK(refusal(parse_mkdir({{"path", std::string(4096, 'a')}})).first == errc::invalid_argument);
  CHECK(octal_mode("0644") == 0644);
  CHECK(octal_mode("0o755") == 0755);
  for (auto text : {"", "8", "rwx", "77777", "-1"})
    CHECK_FALSE(octal_mode(text));
}
