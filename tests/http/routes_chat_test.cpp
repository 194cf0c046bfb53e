#include "http/gateway/gateway.hpp"
#include "http/routes_support.hpp"

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

namespace {

constexpr const char* hello = R"({"model":"own","messages":[{"role":"user","content":"hi"}]})";
constexpr const char* hello_stream =
    R"({"model":"own","stream":true,"messages":[{"role":"user","content":"hi"}]})";

/// Answers everything itself.
class obliging final : public http::gateway::own_model {
public:
  io_task<result<void>> answer(http::exchange&, const http::gateway::chat_request& request,
                               http::gateway::chat_sink& sink) override {
    asked = request.body;
    if (fails)
      co_return fail(errc::capacity_exhausted, "No sandbox is free");
    if (!request.stream) {
      co_await sink.answer(R"({"id":"mine"})");
      co_return caf::unit;
    }
    auto begun = co_await sink.begin();
    auto sent = co_await sink.write("data: {}\n\ndata: [DONE]\n\n");
    if (begun && sent)
      co_await sink.end();
    co_return caf::unit;
  }
  json asked;
  bool fails = false;
};

class chats : public stage {
public:
  chats() {
    http::gateway::gateway_settings settings;
    http::gateway::model own;
    own.id = "own";
    own.own = model;
    settings.models.push_back(std::move(own));
    gateway.emplace(std::move(settings), metrics.gateway());
    context->models = &*gateway;
  }
  std::shared_ptr<obliging> model = std::make_shared<obliging>();
  std::optional<http::gateway::gateway> gateway;
};

} // namespace

TEST_CASE_METHOD(stage, "without models there are no chats", "[routes]") {
  CHECK(call("POST", "/v1/chat/completions", hello).status == 404);
}

TEST_CASE_METHOD(chats, "a model of the server's own answers whole, in a stream, or not", "[routes]") {
  auto& whole = call("POST", "/v1/chat/completions", hello);
  CHECK((whole.status == 200 && whole.json()["id"] == "mine"));
  CHECK(whole.sent_header("X-Correlation-ID").starts_with("corr-"));
  CHECK(model->asked["messages"][0]["content"] == "hi");
  auto& stream = call("POST", "/v1/chat/completions", hello_stream);
  CHECK((stream.status == 200 && stream.sent == "data: {}\n\ndata: [DONE]\n\n"));
  CHECK(stream.sent_header("Cache-Control") == "no-cache");
  model->fails = true;
  CHECK(call("POST", "/v1/chat/completions", hello_stream).status == 503);
  CHECK(metrics.expose().find(R"(sandy_gateway_chats_total{model="own",outcome="answered"} 2)") !=
        std::string::npos);
}

TEST_CASE_METHOD(chats, "that there is no such competitor is said in the words of each dialect", "[routes]") {
  auto asking = [](const char* more) {
    return std::string{R"({"model":"own","competitor_id":"nobody",)"} + more + "}";
  };
  const auto* talk = R"("messages":[{"role":"user","content":"hi"}])";
  auto& chat = call("POST", "/v1/chat/completions", asking(talk));
  CHECK((chat.status == 404 && chat.json()["error"]["code"] == "model_not_found"));
  auto& message = call("POST", "/v1/messages", asking((R"("max_tokens":5,)" + std::string{talk}).c_str()));
  CHECK(message.status == 404);
  CHECK(message.json()["type"] == "error");
  CHECK(message.json()["error"]["type"] == "not_found_error");
  CHECK(message.json()["error"]["code"] == "model_not_found");
  CHECK(message.json()["detail"] == "There is no competitor of that id");
  auto& response = call("POST", "/v1/responses", asking(R"("input":"hi")"));
  CHECK(response.status == 404);
  CHECK(response.json()["error"]["type"] == "invalid_request_error");
  CHECK(response.json()["error"]["code"] == "model_not_found");
}

TEST_CASE_METHOD(chats, "a sandbox does not chat with its own token", "[routes]") {
  auto& refused = request("POST", "/v1/chat/completions", hello);
  refused.asker = {tenant_id{"acme"}, living};
  CHECK(run().status == 403);
  CHECK(model->asked.is_null());
}

TEST_CASE_METHOD(chats, "an artifact is served as a file to its owner", "[routes]") {
  auto kept = gateway->artifacts().add(tenant_id{"acme"}, "a \"b\"\r\n.txt", "", "words");
  REQUIRE(kept);
  auto& found = call("GET", "/v1/artifacts/" + (*kept)->id);
  CHECK((found.status == 200 && found.sent == "words"));
  CHECK(found.sent_header("Content-Disposition") == "attachment; filename=\"a _b___.txt\"");
  CHECK(found.sent_header("X-Artifact-Id") == (*kept)->id);
  CHECK(found.sent_header("X-Artifact-Size") == "5");
  auto& other = request("GET", "/v1/artifacts/" + (*kept)->id);
  other.asker = {tenant_id{"somebody"}};
  CHECK(run().status == 404);
  CHECK(other.json()["detail"] == "Artifact not found");
}
