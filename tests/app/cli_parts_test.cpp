#include "app/cli/base_url.hpp"
#include "app/cli/commands.hpp"
#include "app/cli/local_key.hpp"
#include "app/cli/sse_reader.hpp"
#include "app/cli/text.hpp"
#include "tests/app/command_line.hpp"
#include "tests/app/temporary_directory.hpp"

#include <nlohmann/json.hpp>

using namespace sandy;
using namespace sandy::cli;
using Catch::Matchers::Contains;

TEST_CASE("a command after -- is passed on word by word", "[cli]") {
  CHECK(accepted<exec_command>({"exec", "ab12", "--", "ls", "-l", "--help", "a b", "it's", ""}).exec.script ==
        "ls -l --help 'a b' 'it'\\''s' ''");
  CHECK(accepted<exec_command>({"exec", "ab12", "ls", "/"}).exec.script == "ls /");
  auto all = accepted<exec_command>(
      {"exec", "ab12", "-w", "/tmp", "-e", "A=1", "-e", "B=x=y", "--timeout", "1m30s", "--", "env"});
  CHECK(all.id == "ab12");
  CHECK(all.exec.cwd == "/tmp");
  CHECK(all.exec.env == variables{{"A", "1"}, {"B", "x=y"}});
  CHECK(all.exec.timeout_ms == 90'000);
  CHECK(accepted<exec_command>({"exec", "ab12", "--", "sh", "--", "x"}).exec.script == "sh -- x");
}

TEST_CASE("a script is passed on as it is", "[cli]") {
  CHECK(accepted<exec_command>({"exec", "ab12", "-c", "echo $HOME | wc -c"}).exec.script ==
        "echo $HOME | wc -c");
  CHECK_THAT(refused({"exec", "ab12"}), Contains("Give either a command"));
  CHECK_THAT(refused({"exec", "ab12", "-c", "true", "--", "false"}), Contains("Give either a command"));
  CHECK_THAT(refused({"run"}), Contains("Give either a command"));
}

TEST_CASE("create takes what the API takes", "[cli]") {
  auto made = accepted<create_command>(
      {"create", "--flavor",   "basic",  "--image", "x",      "--ttl",     "10m",    "--memory", "2Gi",
       "--cpu",  "1.5",        "--disk", "4Gi",     "--pids", "99",        "--port", "3000",     "--port",
       "80",     "--priority", "HIGH",   "-e",      "K=V",    "--workdir", "/w",     "--json"});
  CHECK(made.json);
  CHECK(to_json(made.sandbox) ==
        nlohmann::json::parse(R"({"flavor":"basic","image":"x","ttl_seconds":600,"expose_ports":[3000,80],
             "resources":{"memory":"2Gi","cpu":"1.5","disk":"4Gi","pids":99},"priority":"HIGH","env":{"K":"V"},"workdir":"/w"})"));
  CHECK(to_json(accepted<create_command>({"create"}).sandbox) == nlohmann::json::object());
}

TEST_CASE("run takes the options of create and of exec", "[cli]") {
  auto run = accepted<run_command>(
      {"run", "--memory", "1Gi", "--timeout", "5s", "--keep", "-e", "A=1", "--", "python3", "-V"});
  CHECK(run.keep);
  CHECK(run.sandbox.memory == "1Gi");
  CHECK(to_json(run.exec) ==
        nlohmann::json::parse(R"({"command":"python3 -V","env":{"A":"1"},"timeoutMs":5000})"));
}

TEST_CASE("the other commands", "[cli]") {
  CHECK(accepted<list_command>({"ls", "--json"}).json);
  CHECK(accepted<get_command>({"get", "ab"}).id == "ab");
  CHECK(accepted<logs_command>({"logs", "ab", "-n", "5"}).tail == 5);
  CHECK(accepted<remove_command>({"rm", "ab", "cd"}).ids == std::vector<std::string>{"ab", "cd"});
  CHECK(accepted<pause_command>({"pause", "ab", "cd"}).ids == std::vector<std::string>{"ab", "cd"});
  CHECK(accepted<resume_command>({"resume", "ab"}).ids == std::vector<std::string>{"ab"});
  auto idle = accepted<create_command>({"create", "--idle-timeout", "90s", "--pause-on-idle"}).sandbox;
  CHECK(to_json(idle) == nlohmann::json::parse(R"({"idle_timeout_seconds":90,"pause_on_idle":true})"));
  auto copy = accepted<copy_command>({"cp", "-", "ab:/x"});
  CHECK(copy.from == "-");
  CHECK(copy.to == "ab:/x");
  accepted<health_command>({"health"});
}

TEST_CASE("mistakes on the command line are named", "[cli]") {
  refused({});
  CHECK_THAT(refused({"destroy"}), Contains("destroy"));
  refused({"get"});
  refused({"rm"});
  refused({"pause"});
  refused({"cp", "one"});
  CHECK_THAT(refused({"ls", "--", "x"}), Contains("Only exec, run and shell"));
  CHECK_THAT(refused({"create", "--ttl", "soon"}), Contains("--ttl") && Contains("soon"));
  CHECK_THAT(refused({"create", "-e", "novalue"}), Contains("NAME=VALUE"));
  refused({"create", "--port", "70000"});
  refused({"create", "--pids", "many"});
}

TEST_CASE("help and version end well", "[cli]") {
  for (auto word : {"--help", "--version"}) {
    auto read = parse_arguments({word}, {});
    CHECK_FALSE(read.value);
    CHECK(read.exit_code == 0);
    CHECK_FALSE(read.text.empty());
  }
}

TEST_CASE("a shell is the user's own, a command's, or one that runs already", "[cli]") {
  auto own = accepted<shell_command>({"shell", "ab12"});
  CHECK((own.id == "ab12" && own.script.empty() && !own.attach && !own.read_only));
  CHECK(accepted<shell_command>({"shell", "ab12", "-w", "/srv", "--", "less", "a b"}).script == "less 'a b'");
  auto seen = accepted<shell_command>({"shell", "ab12", "--attach", "7", "--readonly"});
  CHECK((seen.attach == 7u && seen.read_only));
  refused({"shell"});
  refused({"shell", "ab12", "--attach", "7", "--", "ls"});
  refused({"shell", "ab12", "--attach", "-1"});
}

TEST_CASE("flags win over the environment", "[cli]") {
  const std::map<std::string, std::string> environment{
      {"SANDY_BASE_URL", "http://a:1"}, {"SANDY_API_KEY", "from-environment"}, {"SANDY_DATA_DIR", ""}};
  auto read = parse_arguments({"--base-url", "http://b:2", "ls"}, environment);
  REQUIRE(read.value);
  CHECK(read.value->where.base_url == "http://b:2");
  CHECK(read.value->where.api_key == "from-environment");
  CHECK(read.value->where.data_dir == "/var/lib/sandy");
}

TEST_CASE("a server's address", "[cli]") {
  auto url = parse_base_url("http://sandy.example:8080/prefix/");
  REQUIRE(url);
  CHECK(url->host == "sandy.example");
  CHECK(url->port == "8080");
  CHECK(url->prefix == "/prefix");
  CHECK(url->authority() == "sandy.example:8080");
  CHECK_FALSE(url->is_loopback());
  CHECK(parse_base_url("http://[::1]:7330")->host == "::1");
  CHECK(parse_base_url("http://[::1]")->authority() == "[::1]");
  CHECK(parse_base_url("http://[::1]:7330")->authority() == "[::1]:7330");
  CHECK(parse_base_url("http://host")->port == "80");
  for (auto text : {"http://127.0.0.1:1", "http://localhost", "http://[::1]:2"})
    CHECK(parse_base_url(text)->is_loopback());
  for (auto text : {"http://127.0.0.1.example.com", "http://localhost.example.com"})
    CHECK_FALSE(parse_base_url(text)->is_loopback());
  for (auto text :
       {"", "127.0.0.1:7330", "ftp://x", "http://", "http://:80", "http://h:", "http://h:x",
        "http://h:123456", "http://[::1", "http://[::1]x", "http://u@h", "http://h/a?b", "http://h/\r\nX: y"})
    CHECK_FALSE(parse_base_url(text));
  CHECK_THAT(text_of(parse_base_url("https://h").error()), Contains("https"));
}

TEST_CASE("a server's own key is found in its data directory", "[cli]") {
  temporary_directory directory;
  CHECK(local_key(directory.path()).empty());
  directory.write("api_key", "sandy_0123\n");
  CHECK(local_key(directory.path()) == "sandy_0123");
}

TEST_CASE("an event stream reads the same in pieces of any size", "[cli]") {
  const std::string stream =
      ": hello\n\nevent: stdout\nid: 3\ndata: {\"a\":1}\n\n"
      "data:no space\r\ndata: second\r\n\r\nevent: exit\rdata: x\r\rdata\n\nevent: lost\ndata: never ended\n";
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    sse_reader reader;
    std::vector<sse_event> all;
    for (std::size_t at = 0; at < stream.size(); at += size)
      for (auto& event : reader.feed(std::string_view(stream).substr(at, size)))
        all.push_back(event);
    REQUIRE(all.size() == 4);
    CHECK(all[0].name == "stdout");
    CHECK(all[0].data == "{\"a\":1}");
    CHECK(all[1].name == "message");
    CHECK(all[1].data == "no space\nsecond");
    CHECK(all[2].name == "exit");
    CHECK(all[2].data == "x");
    CHECK(all[3].data.empty());
  }
}

TEST_CASE("base64 is read exactly or not at all", "[cli]") {
  CHECK(base64_decoded("") == "");
  CHECK(base64_decoded("Zg==") == "f");
  CHECK(base64_decoded("Zm8=") == "fo");
  CHECK(base64_decoded("Zm9v") == "foo");
  CHECK(base64_decoded("AP/+") == std::string("\x00\xff\xfe", 3));
  for (auto text : {"Z", "Zg", "Zg=", "Zg=x", "Zm9v\n", "Z!==", "====", "=Zg="})
    CHECK_FALSE(base64_decoded(text));
}

TEST_CASE("paths are encoded for a query", "[cli]") {
  CHECK(percent_encoded("/workspace/a b&c=d?#%+caf\xc3\xa9") ==
        "/workspace/a%20b%26c%3Dd%3F%23%25%2Bcaf%C3%A9");
}
