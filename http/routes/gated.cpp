#include "http/routes/gated.hpp"

#include <nlohmann/json.hpp>

#include <openssl/crypto.h>

namespace sandy::http::routes {

using nlohmann::json;

namespace {

/// When it was made; nobody knows of models, and clients only sort by it.
constexpr std::int64_t model_created = 1'700'000'000;

bool knows(std::string_view said, const std::string& password) {
  return said.size() == password.size() && CRYPTO_memcmp(said.data(), password.data(), said.size()) == 0;
}

} // namespace

io_task<bool> let_in(exchange& ex) {
  const auto* models = ex.server().models;
  if (models == nullptr) {
    co_await ex.reply_error(fail(errc::route_not_found, "Not Found"));
    co_return false;
  }
  if (!ex.caller().sandbox.value.empty() && !models->for_sandboxes()) {
    co_await ex.reply_error(
        fail(errc::forbidden, "Sandboxes do not chat with their own tokens on this server"));
    co_return false;
  }
  if (models->password().empty() || knows(ex.header("X-PreReleasePassword"), models->password()))
    co_return true;
  co_await ex.reply(401, {{"error", "PRE_RELEASE_PASSWORD_REQUIRED"},
                          {"message", "Pre-release password required"},
                          {"detail", "Pre-release password required"}});
  co_return false;
}

json model_entry(const gateway::model& of) {
  return {{"id", of.id}, {"object", "model"}, {"created", model_created}, {"owned_by", of.owned_by}};
}

json no_model_body(const std::string& text) {
  return {{"detail", text},
          {"error",
           {{"message", text},
            {"code", "model_not_found"},
            {"type", "invalid_request_error"},
            {"param", "model"}}}};
}

io_task<void> reply_problems(exchange& ex, json problems) {
  auto text = problems.front().value("msg", "The chat has mistakes");
  co_await ex.reply(422, {{"detail", std::move(problems)},
                          {"error", {{"code", "validation_failed"}, {"message", std::move(text)}}}});
}

std::string no_model_text(const gateway::chat_request& request) {
  return request.competitor.empty() ? "This server has no models" : "There is no competitor of that id";
}

io_task<void> reply_no_model(exchange& ex, const gateway::chat_request& request) {
  co_await ex.reply(404, no_model_body(no_model_text(request)));
}

} // namespace sandy::http::routes
