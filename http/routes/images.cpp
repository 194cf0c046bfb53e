#include "http/routes/routes.hpp"

#include "http/codec/image.hpp"
#include "http/codec/sandbox.hpp"
#include "http/errors.hpp"
#include "http/routes/common.hpp"
#include "http/routes/creating.hpp"
#include "http/routes/image_import.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace sandy::http::routes {

namespace {

/// Who copies a disk has more to do than who answers a question.
constexpr std::chrono::seconds copy_timeout{180};

io_task<result<void>> snapshot(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_snapshot);
  if (!asked)
    co_return asked.error();
  auto& server = ex.server();
  snapshot_sandbox request{ex.caller(), asked->id, asked->body};
  auto made = co_await ask(server.worker, std::move(request), copy_timeout);
  if (!made)
    co_return made.error();
  co_await ex.reply(200, codec::to_json(*made, server.images));
  co_return answered();
}

io_task<result<void>> fork(exchange& ex) {
  auto asked = co_await read_about_sandbox(ex, codec::parse_fork);
  if (!asked)
    co_return asked.error();
  auto& request = asked->body;
  auto paid = co_await pay_for(ex.server(), ex.caller().tenant, request.count);
  if (!paid)
    co_return paid;
  request.caller = ex.caller();
  request.id = asked->id;
  if (request.parent.value.empty())
    request.parent = parent_by_default(ex);
  auto made = co_await ask_to_create(ex, std::move(request), copy_timeout);
  if (!made && code_of(made.error()) == errc::cancelled)
    co_return answered();
  if (!made)
    co_return made.error();
  co_await ex.reply(200, codec::to_json(*made, ex.server().address, unix_now()));
  co_return answered();
}

io_task<result<std::vector<image_info>>> known_images(exchange& ex) {
  auto& server = ex.server();
  auto all = co_await ask(server.worker, list_images{ex.caller()}, server.limits.control_timeout);
  co_return all;
}

/// An image that a path names and that is not there: the thing itself is missing, not a field of a body.
io_task<result<void>> no_such_image(exchange& ex) {
  auto error = fail(errc::image_not_found, "Image not found");
  co_await ex.reply_bytes(404, "application/json", error_body(error));
  co_return answered();
}

io_task<result<void>> list(exchange& ex) {
  auto all = co_await known_images(ex);
  if (!all)
    co_return all.error();
  co_await ex.reply(200, codec::to_json(*all, ex.server().images));
  co_return answered();
}

io_task<result<void>> get(exchange& ex) {
  auto all = co_await known_images(ex);
  if (!all)
    co_return all.error();
  auto named = [&all](std::string_view name) {
    return std::find_if(all->begin(), all->end(), [&](const auto& each) { return each.name == name; });
  };
  auto found = named(ex.param("name"));
  if (found == all->end())
    found = named(ex.server().images.resolve(ex.param("name")));
  if (found == all->end()) {
    auto told = co_await no_such_image(ex);
    co_return told;
  }
  co_await ex.reply(200, codec::to_json(*found, ex.server().images));
  co_return answered();
}

io_task<result<void>> remove(exchange& ex) {
  auto& server = ex.server();
  remove_image request{ex.caller(), std::string{ex.param("name")}};
  auto removed = co_await ask(server.worker, std::move(request), server.limits.control_timeout);
  if (!removed && code_of(removed.error()) == errc::image_not_found) {
    auto told = co_await no_such_image(ex);
    co_return told;
  }
  if (!removed)
    co_return removed.error();
  auto body = codec::to_json(*removed, server.images);
  body["deleted"] = true;
  co_await ex.reply(200, body);
  co_return answered();
}

} // namespace

void add_image_routes(std::vector<route>& table) {
  table.insert(table.end(), {{"POST", "/api/sandboxes/{id}/snapshot", answer<snapshot>},
                             {"POST", "/api/sandboxes/{id}/fork", answer<fork>},
                             {"POST", "/api/images", answer<import_image>, false, request_cost::stream},
                             {"GET", "/api/images", answer<list>},
                             {"GET", "/api/images/{name}", answer<get>},
                             {"DELETE", "/api/images/{name}", answer<remove>}});
}

} // namespace sandy::http::routes
