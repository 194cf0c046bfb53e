#include "http/routes/routes.hpp"

#include "http/codec/fields.hpp"
#include "http/gateway/chat.hpp"
#include "http/gateway/translated_sink.hpp"
#include "http/gateway/wire/errors.hpp"
#include "http/gateway/wire/messages_answer.hpp"
#include "http/gateway/wire/messages_request.hpp"
#include "http/gateway/wire/responses_answer.hpp"
#include "http/gateway/wire/responses_request.hpp"
#include "http/routes/gated.hpp"
#include "http/shard.hpp"
#include "messages/events.hpp"

#include <nlohmann/json.hpp>

#include <memory>
#include <utility>

namespace sandy::http::routes {

namespace {

using nlohmann::json;
namespace wire = gateway::wire;

/// A request in the words of chat completions, and the way back for its answer.
struct translated {
  json chat;
  std::unique_ptr<wire::translation> back;
};

std::string new_id(exchange& ex) {
  std::string id;
  ex.home().append_request_id(id);
  return id;
}

result<translated> from_messages(exchange& ex, const json& body) {
  auto read = wire::read_messages_request(body);
  if (!read)
    return std::move(read.error());
  wire::messages_answer_head head{"msg_" + new_id(ex), std::move(read->model), read->thinking,
                                  std::move(read->stop)};
  return translated{std::move(read->chat), std::make_unique<wire::messages_answer>(std::move(head))};
}

result<translated> from_responses(exchange& ex, const json& body) {
  auto read = wire::read_responses_request(body);
  if (!read)
    return std::move(read.error());
  wire::responses_answer_head head;
  head.id = new_id(ex);
  head.created_at = unix_now() / 1000;
  head.echo = std::move(read->echo);
  head.tools = std::move(read->tools);
  head.summary = read->summary;
  return translated{std::move(read->chat), std::make_unique<wire::responses_answer>(std::move(head))};
}

/// What the gateway finds wrong with a chat that was translated: its first problem, in words.
caf::error wrong_chat(caf::error err, const json& problems) {
  if (problems.empty())
    return err;
  std::string text;
  for (const auto& part : problems.front().at("loc"))
    if (part != "body")
      text.append(text.empty() ? "" : ".").append(part.is_string() ? part.get<std::string>() : part.dump());
  return fail(errc::invalid_argument, text + ": " + problems.front().at("msg").get<std::string>());
}

/// What the answer to a chat says of it besides.
header_list headers_of(exchange& ex, const gateway::chat_ids& ids) {
  header_list extra{{"request-id", ids.request}}; // where Anthropic's clients look for it
  if (ex.header("X-Correlation-ID").empty())      // else the edge repeats it
    extra.emplace_back("X-Correlation-ID", ids.correlation);
  return extra;
}

std::string no_model_in_messages(const std::string& why) {
  auto body = json::parse(wire::messages_error(fail(errc::route_not_found, why)));
  body["error"]["code"] = "model_not_found";
  return body.dump();
}

std::string no_model_in_responses(const std::string& why) { return no_model_body(why).dump(); }

using reader = result<translated> (*)(exchange& ex, const json& body);
using no_model_words = std::string (*)(const std::string& why);

/// Answers a request of a dialect.
template <reader Read, gateway::translated_sink::error_body Errors, no_model_words NoModel>
io_task<result<void>> answer_in(exchange& ex) {
  auto& models = *ex.server().models;
  gateway::translated_sink refusals{ex, nullptr, Errors, {}};
  auto text = co_await ex.read_body(models.limits().body_bytes);
  if (!text) {
    co_await refusals.refuse(std::move(text.error()));
    co_return answered();
  }
  auto body = codec::parse_object(*text);
  auto read = body ? Read(ex, *body) : result<translated>{std::move(body.error())};
  if (!read) {
    co_await refusals.refuse(std::move(read.error()));
    co_return answered();
  }
  json problems;
  auto request = gateway::understand_chat(std::move(read->chat), problems);
  if (!request) {
    co_await refusals.refuse(wrong_chat(std::move(request.error()), problems));
    co_return answered();
  }
  const auto* model = models.route(*request);
  if (model == nullptr) {
    co_await ex.reply_bytes(404, "application/json", NoModel(no_model_text(*request)));
    co_return answered();
  }
  auto ids = gateway::ids_of(ex, request->debug);
  gateway::translated_sink sink{ex, std::move(read->back), Errors, headers_of(ex, ids)};
  auto outcome = co_await gateway::chat(ex, *model, std::move(*request), std::move(ids), sink);
  if (!outcome)
    co_await sink.refuse(std::move(outcome.error()));
  co_return answered();
}

} // namespace

void add_dialect_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"POST", "/v1/messages",
                              gated<answer_in<from_messages, wire::messages_error, no_model_in_messages>>,
                              false, request_cost::stream},
                             {"POST", "/v1/responses",
                              gated<answer_in<from_responses, wire::responses_error, no_model_in_responses>>,
                              false, request_cost::stream}});
}

} // namespace sandy::http::routes
