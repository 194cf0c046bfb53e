#include "http/platform/account.hpp"

#include "http/platform/proxy.hpp"
#include "http/routes/common.hpp"

namespace sandy::http::platform {

io_task<result<std::shared_ptr<ledger>>> account_of(exchange& ex) {
  auto& server = ex.server();
  auto& ledgers = server.platform->ledgers();
  const auto tenant = ex.inside().tenant;
  auto mine = ledgers.find(ex.inside().sandbox);
  if (!mine)
    co_return no_such_sandbox();
  // All the way up: an earlier request may have come to know a part of it only. Nobody changes parents, and
  // children are few generations deep.
  for (auto each = mine; each; each = each->parent()) {
    if (each->adopted())
      continue;
    get_sandbox question{principal{tenant}, each->whose()};
    auto info = co_await ask(server.worker, std::move(question), server.limits.control_timeout);
    if (!info)
      co_return std::move(info.error());
    auto parent = info->parent.value.empty() ? nullptr : ledgers.find(info->parent);
    if (!parent && !info->parent.value.empty())
      co_return no_such_sandbox(); // it ends, and its children with it: nobody would bound what they use
    each->adopt(parent);
  }
  co_return mine;
}

} // namespace sandy::http::platform
