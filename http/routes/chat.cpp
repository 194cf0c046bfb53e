#include "http/routes/routes.hpp"

#include "http/errors.hpp"
#include "http/gateway/http_sink.hpp"
#include "http/routes/common.hpp"
#include "http/routes/gated.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

using nlohmann::json;

io_task<result<void>> chat_completions(exchange& ex) {
  auto& models = *ex.server().models;
  auto text = co_await ex.read_body(models.limits().body_bytes);
  if (!text)
    co_return std::move(text.error());
  json problems;
  auto request = gateway::read_chat(std::move(*text), problems);
  if (!request && code_of(request.error()) == errc::validation_failed && !problems.empty()) {
    co_await reply_problems(ex, std::move(problems));
    co_return answered();
  }
  if (!request)
    co_return std::move(request.error());
  const auto* model = models.route(*request);
  if (model == nullptr) {
    co_await reply_no_model(ex, *request);
    co_return answered();
  }
  auto ids = gateway::ids_of(ex, request->debug);
  gateway::http_sink sink{ex, ids};
  auto outcome = co_await gateway::chat(ex, *model, std::move(*request), std::move(ids), sink);
  co_return outcome;
}

io_task<result<void>> list_models(exchange& ex) {
  auto list = json::array();
  for (const auto& each : ex.server().models->models())
    list.push_back(model_entry(each));
  co_await ex.reply(200, {{"object", "list"}, {"data", std::move(list)}});
  co_return answered();
}

io_task<result<void>> get_model(exchange& ex) {
  const auto* known = ex.server().models->find(ex.param("model"));
  if (known == nullptr) {
    co_await ex.reply(404, no_model_body("There is no such model"));
    co_return answered();
  }
  co_await ex.reply(200, model_entry(*known));
  co_return answered();
}

/// A file's name between the quotes of a header.
std::string header_quoted(std::string_view name) {
  std::string out;
  for (char c : name)
    out.push_back(static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' ||
                          static_cast<unsigned char>(c) >= 0x7f
                      ? '_'
                      : c);
  return out;
}

io_task<result<void>> get_artifact(exchange& ex) {
  auto found = ex.server().models->artifacts().find(ex.caller().tenant, ex.param("artifact"));
  if (!found) {
    co_await ex.reply(404, {{"detail", "Artifact not found"},
                            {"error", {{"code", "artifact_not_found"}, {"message", "Artifact not found"}}}});
    co_return answered();
  }
  header_list extra{
      {"Content-Disposition", "attachment; filename=\"" + header_quoted(found->display_name) + "\""},
      {"X-Artifact-Id", found->id},
      {"X-Artifact-Size", std::to_string(found->bytes.size())},
      {"X-Content-Type-Options", "nosniff"}};
  auto begun = co_await ex.begin_stream(200, found->mime_type, found->bytes.size(), std::move(extra));
  if (begun)
    begun = co_await ex.write(found->bytes);
  if (begun)
    co_await ex.end_stream();
  co_return answered();
}

} // namespace

void add_chat_routes(std::vector<route>& table) {
  table.insert(table.end(),
               {{"POST", "/v1/chat/completions", gated<chat_completions>, false, request_cost::stream},
                {"GET", "/v1/models", gated<list_models>},
                {"GET", "/v1/models/{model}", gated<get_model>},
                {"GET", "/v1/artifacts/{artifact}", gated<get_artifact>}});
}

} // namespace sandy::http::routes
