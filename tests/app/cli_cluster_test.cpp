// `sandy cluster status` and what is done to nodes, against a server that answers by script.

#include "tests/app/client_program.hpp"
#include "tests/app/command_line.hpp"

using namespace sandy;
using namespace sandy::cli;
using Catch::Matchers::Contains;

namespace {

const std::string w1 =
    R"({"id":"a1b2c3","name":"w1","self":true,"role":"all","labels":["gpu","eu"],"version":"0.1.0",
  "state":"ready","sandboxes":3,"max_sandboxes":100,"cpu_ratio":0.125,"memory_available_bytes":13207024435,
  "memory_total_bytes":68719476736,"data_address":"10.0.0.2:7333","last_seen_at":"2026-01-20T10:00:00.000+00:00"})";
const std::string lost = R"({"id":"d4e5f6","name":"worker-2","role":"worker","labels":[],"version":null,
  "state":"unreachable"})";

} // namespace

TEST_CASE("the commands below cluster", "[cli][cluster]") {
  auto certs = accepted<cluster_certs_command>({"cluster", "certs", "dir", "w1", "w2"});
  CHECK(certs.directory == "dir");
  CHECK(certs.names == std::vector<std::string>{"w1", "w2"});
  CHECK(certs.days == 825);
  CHECK(accepted<cluster_certs_command>({"cluster", "certs", "--days", "30", "dir", "w1"}).days == 30);
  CHECK_FALSE(accepted<cluster_status_command>({"cluster", "status"}).json);
  CHECK(accepted<cluster_status_command>({"cluster", "status", "--json"}).json);
  for (auto [word, order] : {std::pair{"cordon", node_order::cordon},
                             {"uncordon", node_order::uncordon},
                             {"drain", node_order::drain}}) {
    auto asked = accepted<cluster_node_command>({"cluster", word, "w1"});
    CHECK(asked.order == order);
    CHECK(asked.name == "w1");
  }
}

TEST_CASE("mistakes below cluster are named", "[cli][cluster]") {
  CHECK_THAT(refused({"cluster"}), Contains("sandy cluster --help"));
  CHECK_THAT(refused({"cluster", "destroy"}), Contains("destroy"));
  CHECK_THAT(refused({"cluster", "certs", "dir"}), Contains("NAME"));
  CHECK_THAT(refused({"cluster", "cordon"}), Contains("NAME"));
  refused({"cluster", "drain", "w1", "w2"});
  refused({"cluster", "cordon", "w1", "status"});
  for (auto days : {"0", "-1", "3653", "long"})
    CHECK_THAT(refused({"cluster", "certs", "dir", "w1", "--days", days}), Contains("--days"));
}

TEST_CASE("the help of certs says where the authority's key belongs", "[cli][cluster]") {
  auto read = parse_arguments({"cluster", "certs", "--help"}, {});
  CHECK(read.exit_code == 0);
  CHECK_THAT(read.text, Contains("ca-key.pem belongs on no node") && Contains("825"));
}

TEST_CASE("status is a table of the nodes", "[cli][cluster]") {
  scripted_server server({{json_answer(R"({"nodes":[)" + w1 + "," + lost + "]}")}});
  auto done = run(server, {"cluster", "status"});
  CHECK(done.exit_code == 0);
  CHECK(done.out == "NAME      ROLE    STATE        LABELS  SANDBOXES  CPU  FREE MEMORY  VERSION\n"
                    "w1        all     ready        gpu,eu  3/100      12%  12.3Gi       0.1.0\n"
                    "worker-2  worker  unreachable  -       -/-        -    -            -\n");
  CHECK(server.stop().at(0).starts_with("GET /api/cluster HTTP/1.1\r\n"));
}

TEST_CASE("status as the server says it", "[cli][cluster]") {
  scripted_server server({{json_answer(R"({"nodes":[)" + w1 + "]}")}});
  auto done = run(server, {"cluster", "status", "--json"});
  CHECK(nlohmann::json::parse(done.out)["nodes"][0] == nlohmann::json::parse(w1));
}

TEST_CASE("what is done to a node shows what became of it", "[cli][cluster]") {
  std::vector<std::string> words{"cordon", "uncordon", "drain"};
  scripted_server server({{json_answer(w1)}, {json_answer(w1)}, {json_answer(w1)}});
  for (const auto& word : words) {
    auto done = run(server, {"cluster", word, "w1"});
    CHECK(done.exit_code == 0);
    CHECK_THAT(done.out, Contains("w1    all   ready  gpu,eu"));
  }
  auto requests = server.stop();
  REQUIRE(requests.size() == words.size());
  for (std::size_t i = 0; i < words.size(); ++i)
    CHECK(requests[i].starts_with("POST /api/cluster/nodes/w1/" + words[i] + " HTTP/1.1\r\n"));
}

TEST_CASE("a cluster that refuses is heard", "[cli][cluster]") {
  scripted_server server({{json_answer(R"({"detail":"No such node"})", "404 Not Found")},
                          {json_answer(R"({"detail":"Only for administrators"})", "403 Forbidden")},
                          {json_answer("[]")}});
  auto unknown = run(server, {"cluster", "drain", "a b"});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.err == "sandy: The server refused: No such node (status 404)\n");
  CHECK(run(server, {"cluster", "status"}).exit_code == 1);
  CHECK_THAT(run(server, {"cluster", "status"}).err, Contains("names no nodes"));
  CHECK_THAT(server.stop().at(0), Contains("/nodes/a%20b/drain "));
}
