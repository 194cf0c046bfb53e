#include "app/config.hpp"
#include "app/settings.hpp"
#include "tests/app/temporary_directory.hpp"

#include <set>

using namespace sandy;
using namespace std::chrono_literals;

namespace {

using variables = std::map<std::string, std::string>;

/// Reads with no default file, so that the machine's own configuration plays no part.
configured read(const std::vector<std::string>& arguments, const variables& environment = {}) {
  return read_configuration(arguments, environment, "9.9.9", "/nonexistent/sandy.toml");
}

config accepted(const configured& outcome) {
  INFO(outcome.text);
  REQUIRE(outcome.settings);
  return *outcome.settings;
}

/// The sentence of a refusal.
std::string refused(const configured& outcome) {
  REQUIRE_FALSE(outcome.settings);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.text.starts_with("sandyd: "));
  return outcome.text;
}

using Catch::Matchers::Contains;

} // namespace

TEST_CASE("without any configuration the defaults hold", "[config]") {
  auto all = accepted(read({}));
  CHECK(all.listen == listen_address{"127.0.0.1", 7330});
  CHECK(all.data_dir == "/var/lib/sandy");
  CHECK(all.worker.data_dir == "/var/lib/sandy");
  CHECK(all.api_keys.empty());
  CHECK_FALSE(all.open);
  CHECK(all.worker.default_ttl == 3h);
  CHECK(all.worker.max_ttl == 24h);
  CHECK(all.worker.flavors.at("basic").image == "basic");
}

TEST_CASE("flags win over the environment, and the environment over the file", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", "max_sandboxes = 1\ncreate_queue = 1\ncreate_concurrency = 1\n");
  auto all = accepted(read({"--config", file, "--max-sandboxes", "3"},
                           {{"SANDY_MAX_SANDBOXES", "2"}, {"SANDY_CREATE_QUEUE", "2"}}));
  CHECK(all.worker.max_sandboxes == 3);
  CHECK(all.worker.create_queue == 2);
  CHECK(all.worker.create_concurrency == 1);
}

TEST_CASE("every setting is a flag, a variable and a key of the file, with the same meaning", "[config]") {
  temporary_directory directory;
  const variables other_values{{"SIZE", "20Mi"},
                               {"DURATION", "77s"},
                               {"CORES", "1500m"},
                               {"NUMBER", "70000"},
                               {"PATH", "/somewhere"},
                               {"TEXT", "something"},
                               {"KEY", "open-sesame"},
                               {"BOOL", "true"},
                               {"LIST", "a,b"},
                               {"PORT", "8443"},
                               {"http|https", "https"},
                               {"SUFFIX", ".example.com"},
                               {"LEVEL", "debug"},
                               {"json|text", "text"},
                               {"ADDRESS:PORT", "[::1]:81"},
                               {"FACTOR", "1.5"},
                               {"AMOUNT", "2.5"},
                               {"MODE", "platform"},
                               {"ADDRESSES", "10.1.2.3,10.2.3.4"},
                               {"never|missing", "missing"},
                               {"NODES", "a.example:7332,10.0.0.1:7332"},
                               {"ROLE", "worker"},
                               {"NAME", "node-1"},
                               {"ADDRESS", "10.0.0.9"}};
  for (const auto& one : settings()) {
    INFO(one.name);
    auto text = other_values.at(std::string(one.type));
    // Alone they would contradict another setting's default.
    variables companions;
    if (one.name == "max_memory" || one.name == "max_disk")
      companions = {{"SANDY_DEFAULT_MEMORY", "20Mi"}, {"SANDY_DEFAULT_DISK", "20Mi"}};
    if (one.name == "default_pids")
      companions = {{"SANDY_MAX_PIDS", "70000"}};
    if (one.name == "max_sandboxes")
      text = "17";
    if (one.name == "runtime")
      text = "docker";
    if (one.name == "runtime" || one.name == "docker_socket_in_sandboxes")
      companions = {{"SANDY_DOCKER_SOCKET", "/run/engine.sock"}};
    if (one.group == "Cluster") {
      companions = {{"SANDY_CLUSTER_LISTEN", "127.0.0.1:0"},
                    {"SANDY_CLUSTER_CERTIFICATE", "node.pem"},
                    {"SANDY_CLUSTER_KEY", "node-key.pem"},
                    {"SANDY_CLUSTER_AUTHORITY", "ca.pem"}};
      companions.erase(one.variable());
      if (one.name == "cluster_certificate" || one.name == "cluster_key" || one.name == "cluster_authority")
        companions.erase("SANDY_CLUSTER_LISTEN");
    }
    if (one.name == "port_listeners") // true is its default
      text = "false";
    if (one.name == "max_ttl")
      companions = {{"SANDY_DEFAULT_TTL", "10s"}};

    auto by_flag = accepted(read({one.flag() + "=" + text}, companions));
    if (one.type != "DURATION") // printed as 1m17s
      CHECK(one.get(by_flag) == text);
    CHECK(one.get(by_flag) != one.get(config{}));

    auto environment = companions;
    environment[one.variable()] = text;
    CHECK(one.get(accepted(read({}, environment))) == one.get(by_flag));

    auto literal = one.number ? text : "\"" + text + "\"";
    auto file = directory.write("one.toml", std::string(one.name) + " = " + literal + "\n");
    CHECK(one.get(accepted(read({"--config", file}, companions))) == one.get(by_flag));
  }
}

TEST_CASE("a mistake is named with its value and where it stands", "[config]") {
  temporary_directory directory;
  CHECK_THAT(refused(read({}, {{"SANDY_MAX_MEMORY", "lots"}})),
             Contains("max_memory = \"lots\" is not a size such as 512Mi or 4Gi (SANDY_MAX_MEMORY)"));
  CHECK_THAT(refused(read({"--default-ttl", "soon"})),
             Contains("default_ttl = \"soon\" is not a duration") && Contains("(--default-ttl)"));
  auto file = directory.write("bad.toml", "open = true\n\nlisten = \"localhost\"\n");
  CHECK_THAT(refused(read({"--config", file})),
             Contains("listen = \"localhost\" is not an address and a port") &&
                 Contains("(" + file + ", line 3)"));
}

TEST_CASE("a key of the file that nobody knows is refused", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", "open = true\nlisten_on = \"127.0.0.1:1\"\n");
  CHECK_THAT(refused(read({"--config", file})),
             Contains("Unknown setting \"listen_on\" in " + file + ", line 2"));
  file = directory.write("sandy.toml", "[flavors.basic]\nimage = \"basic\"\nmemroy = \"1Gi\"\n");
  CHECK_THAT(refused(read({"--config", file})),
             Contains("Unknown key \"memroy\" of flavors.basic") && Contains("line 3"));
  file = directory.write("sandy.toml", "[[api_keys]]\ntenant = \"a\"\nkey = \"k\"\nrole = \"admin\"\n");
  CHECK_THAT(refused(read({"--config", file})),
             Contains("Unknown key \"role\" of api_keys") && Contains("line 4"));
}

TEST_CASE("a file that is no TOML is refused with its line", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", "open = true\nlisten = \n");
  CHECK_THAT(refused(read({"--config", file})), Contains(file + ", line 2"));
}

TEST_CASE("a file that was asked for must be there, the default one need not", "[config]") {
  CHECK_THAT(refused(read({"--config", "/nonexistent/x.toml"})), Contains("Cannot read /nonexistent/x.toml"));
  CHECK_THAT(refused(read({}, {{"SANDY_CONFIG", "/nonexistent/y.toml"}})), Contains("/nonexistent/y.toml"));
  CHECK_THAT(refused(read({"--config", "/tmp"})), Contains("Cannot read /tmp"));
  accepted(read({}));
  temporary_directory directory;
  auto file = directory.write("default.toml", "open = true");
  CHECK(accepted(read_configuration({}, {}, "1", file)).open);
}

TEST_CASE("flags that nobody knows are refused", "[config]") {
  CHECK_THAT(refused(read({"--lisen", "127.0.0.1:1"})), Contains("--lisen"));
  refused(read({"stray"}));
}

TEST_CASE("a switch needs no value and takes one", "[config]") {
  CHECK(accepted(read({"--open"})).open);
  CHECK(accepted(read({"--open=true"})).open);
  CHECK_FALSE(accepted(read({"--open=false"}, {{"SANDY_OPEN", "1"}})).open);
  refused(read({"--open=perhaps"}));
}

TEST_CASE("a variable set to nothing is not set", "[config]") {
  CHECK(accepted(read({}, {{"SANDY_LISTEN", ""}, {"SANDY_CONFIG", ""}, {"SANDY_API_KEY", ""}})).listen.port ==
        7330);
}

TEST_CASE("keys come from the setting and from the file's table", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", R"(
api_key = "from-the-file"
[[api_keys]]
tenant = "research"
key = "plain"
[[api_keys]]
tenant = "default"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)");
  auto keys = accepted(read({"--config", file}, {{"SANDY_API_KEY", "from-the-environment"}})).api_keys;
  REQUIRE(keys.size() == 3);
  CHECK(keys[0].tenant.value == "default");
  CHECK(keys[0].secret == "from-the-environment");
  CHECK(keys[1].tenant.value == "research");
  CHECK(keys[1].secret == "plain");
  CHECK(keys[2].tenant.value == "default");
  CHECK(keys[2].secret.starts_with("sha256:9f86d0"));
}

TEST_CASE("a key is an administrator's when its table says so", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", R"(
[[api_keys]]
tenant = "operations"
key = "k1"
admin = true
[[api_keys]]
tenant = "operations"
key = "k2"
)");
  auto keys = accepted(read({"--config", file, "--api-key", "k3"})).api_keys;
  REQUIRE(keys.size() == 3);
  CHECK_FALSE(keys[0].admin); // of the setting
  CHECK(keys[1].admin);
  CHECK_FALSE(keys[2].admin);
  file = directory.write("sandy.toml", "[[api_keys]]\ntenant = \"a\"\nkey = \"k\"\nadmin = \"yes\"\n");
  CHECK_THAT(refused(read({"--config", file})),
             Contains("admin is neither true nor false") && Contains("line 4"));
}

TEST_CASE("keys that cannot be used are refused", "[config]") {
  temporary_directory directory;
  for (auto text : {"[[api_keys]]\ntenant = \"a\"\n", "[[api_keys]]\nkey = \"k\"\n", "api_keys = [\"k\"]\n",
                    "api_keys = 3\n", "[[api_keys]]\ntenant = \"a\"\nsha256 = \"abc\"\n"}) {
    INFO(text);
    auto sentence = refused(read({"--config", directory.write("sandy.toml", text)}));
    CHECK_THAT(sentence, Contains("api_keys") || Contains("tenant"));
  }
}

TEST_CASE("flavors are added to the built-in one, or replace it", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", R"(
[flavors.basic]
image = "debian"
[flavors.agent-ready]
image = "agents"
memory = "4Gi"
cpu = 2.5
pids = 1000
disk = "20Gi"
)");
  auto flavors = accepted(read({"--config", file})).worker.flavors;
  REQUIRE(flavors.size() == 2);
  CHECK(flavors["basic"].image == "debian");
  CHECK(flavors["basic"].limits.memory_bytes == 0);
  CHECK(flavors["agent-ready"].limits.memory_bytes == 4ull << 30);
  CHECK(flavors["agent-ready"].limits.cpu_millis == 2500);
  CHECK(flavors["agent-ready"].limits.pids == 1000);
  CHECK(flavors["agent-ready"].limits.disk_bytes == 20ull << 30);

  file = directory.write("sandy.toml", "[flavors.large]\nmemory = \"1Gi\"\n");
  CHECK_THAT(refused(read({"--config", file})), Contains("flavors.large names no image"));
  file = directory.write("sandy.toml", "[flavors.large]\nimage = \"x\"\nmemory = \"much\"\n");
  CHECK_THAT(refused(read({"--config", file})), Contains("flavors.large.memory = \"much\" is not a size"));
  file = directory.write("sandy.toml", "[flavors.large]\nimage = \"x\"\nmemory = \"1Ti\"\n");
  CHECK_THAT(refused(read({"--config", file})), Contains("flavors.large.memory is more than max_memory"));
}

TEST_CASE("a tenant's limits differ from those of all by what its table names", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", R"(
tenant_streams = 30
[tenants.research]
requests_per_second = 5
memory = "2Gi"
[tenants."a b"]
creations_per_hour = 0
)");
  auto all = accepted(read({"--config", file, "--tenant-streams", "40"}));
  CHECK(all.tenant_defaults.streams == 40);
  REQUIRE(all.tenants.size() == 2);
  const auto& research = all.tenants[tenant_id{"research"}];
  CHECK(research.requests_per_second == 5);
  CHECK(research.memory_bytes == 2ull << 30);
  CHECK(research.streams == 40); // of the flag, though the file was read first
  CHECK(research.creations_per_hour == all.tenant_defaults.creations_per_hour);
  CHECK(all.tenants[tenant_id{"a b"}].creations_per_hour == 0);

  file = directory.write("sandy.toml", "[tenants.a]\nspeed = 1\n");
  CHECK_THAT(refused(read({"--config", file})),
             Contains("Unknown key \"speed\" of tenants.a") && Contains("line 2"));
  file = directory.write("sandy.toml", "[tenants.a]\nstreams = -1\n");
  CHECK_THAT(refused(read({"--config", file})), Contains("tenants.a.streams = \"-1\""));
  file = directory.write("sandy.toml", "[tenants]\na = 1\n");
  CHECK_THAT(refused(read({"--config", file})), Contains("tenants.a is not a table"));
}

TEST_CASE("settings that contradict each other are refused", "[config]") {
  CHECK_THAT(refused(read({"--max-memory", "512Mi"})), Contains("default_memory is more than max_memory"));
  CHECK_THAT(refused(read({"--max-cpu", "0.5"})), Contains("default_cpu is more than max_cpu"));
  CHECK_THAT(refused(read({"--max-pids", "10"})), Contains("default_pids is more than max_pids"));
  CHECK_THAT(refused(read({"--max-disk", "1Gi"})), Contains("default_disk is more than max_disk"));
  CHECK_THAT(refused(read({"--max-ttl", "1h"})), Contains("default_ttl is more than max_ttl"));
  CHECK_THAT(refused(read({"--uid-base", "4000000000"})), Contains("uid_base leaves no room"));
  CHECK_THAT(refused(read({"--max-sandboxes", "1000000"})), Contains("max_sandboxes is more than"));
  CHECK(accepted(read({"--max-ttl", "0"})).worker.max_ttl == 0s);
}

TEST_CASE("a factor is a number of times, with fractions, and 0 for any", "[config]") {
  CHECK(accepted(read({"--memory-overcommit", "1.25"})).worker.room.memory_overcommit == 1250);
  CHECK(accepted(read({"--cpu-overcommit", "0"})).worker.room.cpu_overcommit == 0);
  CHECK_THAT(refused(read({"--disk-overcommit", "many"})), Contains("is not a factor such as 32 or 1.5"));
  CHECK_THAT(refused(read({"--pids-overcommit", "500m"})), Contains("is not a factor"));
  for (auto text : {"32", "1.5", "0.005"})
    CHECK(find_setting("memory_overcommit")->get(accepted(read({"--memory-overcommit", text}))) == text);
  CHECK(accepted(read({"--cpu-reserve", "0"})).worker.room.cpu_reserve == 0);
  CHECK(accepted(read({"--disk-reserve", "0"})).worker.room.disk_reserve == 0);
}

TEST_CASE("values at the edge of their range", "[config]") {
  CHECK(accepted(read({"--listen", "0.0.0.0:0"})).listen == listen_address{"0.0.0.0", 0});
  CHECK(accepted(read({"--listen", "[::1]:65535"})).listen == listen_address{"::1", 65535});
  for (auto text : {"127.0.0.1", "127.0.0.1:", ":7330", "::1:7330", "[127.0.0.1]:1", "127.0.0.1:65536",
                    "localhost:80", "1.2.3:4"})
    refused(read({"--listen", text}));
  CHECK(accepted(read({"--host-suffix", "Sandy.Example.com"})).host_suffixes ==
        std::vector<std::string>{".sandy.example.com"});
  for (auto text : {".", "..", "a..b", "under_score.com", "space .com", "trailing."})
    refused(read({"--host-suffix", text}));
  CHECK_FALSE(accepted(read({"--public-port", "auto"})).public_port);
  CHECK(accepted(read({"--public-port", "0"})).public_port == 0);
  CHECK(accepted(read({"--data-dir", "/srv//sandy/"})).data_dir == "/srv/sandy");
  CHECK(accepted(read({"--data-dir", "here"})).data_dir == std::filesystem::current_path() / "here");
  refused(read({"--exec-timeout", "0"}));
  refused(read({"--default-ttl", "1500ms"}));
  refused(read({"--max-header", "1Gi"}));
  temporary_directory directory;
  auto file = directory.write("sandy.toml", "cors_origins = [\"https://a.example\", \"https://b.example\"]");
  CHECK(accepted(read({"--config", file})).cors_origins ==
        std::vector<std::string>{"https://a.example", "https://b.example"});
}

TEST_CASE("a node of a cluster says where it listens and who it is", "[config]") {
  CHECK_THAT(refused(read({"--cluster-listen", "10.0.0.1:7332"})), Contains("cluster_certificate"));
  CHECK_THAT(refused(read({"--role", "worker"})), Contains("cluster_listen is needed"));
  CHECK_THAT(refused(read({"--cluster-join", "10.0.0.1:7332"})), Contains("cluster_listen is needed"));
  const std::vector<std::string> known{"--cluster-certificate", "a.pem", "--cluster-key", "k.pem",
                                       "--cluster-authority",   "ca.pem"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), known.begin(), known.end());
    return read(more);
  };
  CHECK_THAT(refused(with({"--cluster-listen", "0.0.0.0:7332"})), Contains("cluster_advertise"));
  auto all = accepted(with({"--cluster-listen", "0.0.0.0:7332", "--cluster-advertise", "10.0.0.1", "--role",
                            "controller", "--node-labels", "primary,gpu"}));
  CHECK(all.cluster.role == node_role::controller);
  CHECK(all.cluster.labels == std::vector<std::string>{"primary", "gpu"});
  for (auto wrong : {"nowhere", ":1", "host:0", "host:70000"})
    CHECK_THAT(refused(with({"--cluster-listen", "10.0.0.1:7332", "--cluster-join", wrong})),
               Contains("host and port"));
  CHECK_THAT(refused(with({"--cluster-listen", "10.0.0.1:7332", "--node-name", "Node_1"})),
             Contains("no name"));
}

TEST_CASE("help, version and the printed configuration end well and start nothing", "[config]") {
  auto help = read({"--help"});
  CHECK_FALSE(help.settings);
  CHECK(help.exit_code == 0);
  std::set<std::string_view> groups;
  for (const auto& one : settings()) {
    CHECK_THAT(help.text, Contains(one.flag()));
    CHECK_THAT(help.text, Contains(std::string(one.group)));
  }
  auto version = read({"--version"});
  CHECK(version.exit_code == 0);
  CHECK_THAT(version.text, Contains("9.9.9"));
}

TEST_CASE("the printed configuration reads back as the same, and shows no secret", "[config]") {
  temporary_directory directory;
  auto file = directory.write(
      "sandy.toml", "[[api_keys]]\ntenant = \"research\"\nkey = \"hush-one\"\n[flavors.big]\nimage = "
                    "\"x\"\ncpu = 2\nmemory = \"2Gi\"\npids = 99\ndisk = \"3Gi\"\n"
                    "[tenants.\"a b\"]\nstreams = 5\nmemory = \"2Gi\"\n");
  auto printed = read({"--config", file, "--print-config", "--log-level", "debug", "--listen", "127.0.0.1:0"},
                      {{"SANDY_API_KEY", "hush-two"}, {"SANDY_DATA_DIR", "/a \"quoted\" path"}});
  CHECK_FALSE(printed.settings);
  CHECK(printed.exit_code == 0);
  CHECK(printed.text.find("hush") == std::string::npos);
  CHECK_THAT(printed.text, Contains("# SANDY_DATA_DIR") && Contains("# --log-level") &&
                               Contains("# default") && Contains("tenant \"research\""));

  auto again = accepted(read({"--config", directory.write("printed.toml", printed.text)}));
  CHECK(again.level == log_level::debug);
  CHECK(again.listen.port == 0);
  CHECK(again.data_dir == "/a \"quoted\" path");
  CHECK(again.worker.flavors.at("big").limits.cpu_millis == 2000);
  CHECK(again.worker.flavors.at("big").limits.disk_bytes == 3ull << 30);
  auto limits = again.tenant_defaults;
  limits.streams = 5;
  limits.memory_bytes = 2ull << 30;
  CHECK(again.tenants[tenant_id{"a b"}] == limits);
}

TEST_CASE("webhooks are read from the file, and their secrets are not shown", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", R"(
[[webhook]]
url = "https://example.com/a"
secret = "0123456789abcdef"
[[webhook]]
url = "http://10.0.0.1:8080/b"
secret = "fedcba9876543210"
events = ["sandbox.created", "sandbox.ended"]
tenant = "research"
allow_private = true
)");
  auto hooks = accepted(read({"--config", file})).webhooks;
  REQUIRE(hooks.size() == 2);
  CHECK(hooks[0].url == "https://example.com/a");
  CHECK(hooks[0].secret == "0123456789abcdef");
  CHECK(hooks[0].events.empty());
  CHECK(hooks[0].tenant.value.empty());
  CHECK_FALSE(hooks[0].allow_private);
  CHECK(hooks[1].events == std::vector<life_event_type>{life_event_type::created, life_event_type::ended});
  CHECK(hooks[1].tenant.value == "research");
  CHECK(hooks[1].allow_private);
  auto shown = read({"--config", file, "--print-config"}).text;
  CHECK_THAT(shown, Contains("url = \"https://example.com/a\"") && Contains("tenant = \"research\""));
  CHECK_THAT(shown, !Contains("0123456789abcdef") && !Contains("fedcba9876543210"));
}

TEST_CASE("a webhook that cannot work is refused, and the sentence says where", "[config]") {
  temporary_directory directory;
  auto refuse = [&](const std::string& lines) {
    return refused(read({"--config", directory.write("sandy.toml", "[[webhook]]\n" + lines)}));
  };
  const std::string url = "url = \"https://example.com/\"\n";
  const std::string secret = "secret = \"0123456789abcdef\"\n";
  CHECK_THAT(refuse(secret), Contains("webhook.url") && Contains("line 1"));
  CHECK_THAT(refuse(secret + "url = \"ftp://example.com/\""), Contains("is neither http nor https"));
  CHECK_THAT(refuse(url), Contains("webhook.secret is shorter than 16 characters"));
  CHECK_THAT(refuse(url + secret + "events = [\"sandbox.exploded\"]"), Contains("sandbox.exploded"));
  CHECK_THAT(refuse(url + secret + "events = 7"), Contains("is not a list"));
  CHECK_THAT(refuse(url + secret + "colour = \"red\""), Contains("Unknown key \"colour\""));
  CHECK_THAT(refuse(url + secret + "[[webhook]]\n" + url + secret), Contains("same url and tenant twice"));
}

TEST_CASE("a model is hedged where there is somebody else to ask", "[config]") {
  temporary_directory directory;
  auto text = [&](const std::string& lines) {
    return directory.write("sandy.toml", "open = true\n[[models]]\nid = \"small\"\n" + lines);
  };
  auto after = [&](const std::string& lines) {
    return accepted(read({"--config", text(lines)})).models.front().hedge_after;
  };
  const std::string two = "urls = [\"10.0.0.1:1\", \"10.0.0.2:1\"]\n";
  CHECK(after(two) == 0s);
  CHECK(after(two + "hedge_after = 1.5\n") == 1500ms);
  CHECK(after("containers = { image = \"basic\" }\nhedge_after = \"2s\"\n") == 2s);
  CHECK(after("url = \"10.0.0.1:1\"\nhedge_after = 0\n") == 0s);
  auto printed = read({"--print-config", "--config", text(two + "hedge_after = \"2s\"\n")}).text;
  CHECK_THAT(printed, Contains("hedge_after = \"2s\""));
  for (const auto* alone : {"url = \"10.0.0.1:1\"\nfallback_url = \"10.0.0.2:1\"\n",
                            "agent = { agent = \"codex\", model = \"m\" }\n"})
    CHECK_THAT(refused(read({"--config", text(std::string{alone} + "hedge_after = \"2s\"\n")})),
               Contains("models.hedge_after needs containers or a second url"));
  CHECK_THAT(refused(read({"--config", text(two + "hedge_after = \"soon\"\n")})),
             Contains("models.hedge_after = \"soon\" is not a duration"));
}

TEST_CASE("aliases lead to images or to references", "[config]") {
  temporary_directory directory;
  auto file = directory.write("sandy.toml", "[image_aliases]\n\"ghcr.io/team/agent\" = \"basic\"\n"
                                            "agent = \"ghcr.io/team/other:1\"\n");
  auto names = accepted(read({"--config", file})).worker.images;
  CHECK(names.resolve("ghcr.io/team/agent:latest") == "basic");
  CHECK(names.reference_of("agent")->text() == "ghcr.io/team/other:1");
  auto shown = read({"--config", file, "--print-config"});
  CHECK_THAT(shown.text, Contains("[image_aliases]") && Contains("\"ghcr.io/team/agent\" = \"basic\""));
  file = directory.write("sandy.toml", "[image_aliases]\nagent = \"../up\"\n");
  CHECK_THAT(refused(read({"--config", file})), Contains("image_aliases.agent") && Contains("line 2"));
}
