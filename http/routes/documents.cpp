#include "http/routes/routes.hpp"

#include "http/routes/common.hpp"

#include <nlohmann/json.hpp>

namespace sandy::http::routes {

namespace {

io_task<void> index(exchange& ex) {
  nlohmann::json body{{"name", "sandy"},
                      {"version", ex.server().version},
                      {"links",
                       {{"openapi", "/openapi.json"},
                        {"health", "/api/health"},
                        {"metrics", "/metrics"},
                        {"sandboxes", "/api/sandboxes"}}}};
  co_await ex.reply(200, body);
}

io_task<void> openapi(exchange& ex) {
  auto document = openapi_document(ex.server().version);
  co_await ex.reply(200, document);
}

} // namespace

void add_document_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"GET", "/", index, true}, {"GET", "/openapi.json", openapi, true}});
}

} // namespace sandy::http::routes
