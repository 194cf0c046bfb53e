#include "http/errors.hpp"
#include "http/platform/account.hpp"
#include "http/platform/answers.hpp"
#include "http/platform/nested_exec.hpp"
#include "http/platform/passing.hpp"
#include "metrics/log.hpp"

namespace sandy::http::platform {

namespace {

constexpr std::string_view exec_path = "/sandbox/exec";

/// A sandbox wanted something that is no service: somebody should know.
io_task<void> refuse_violation(exchange& ex, std::shared_ptr<ledger> account) {
  auto& proxy = *ex.server().platform;
  account->add_violation();
  proxy.numbers().violation();
  if (account->may_log())
    log_event(log_level::warn, "platform_violation",
              {{"sandbox_id", account->whose().value},
               {"method", ex.method()},
               {"path", ex.path().substr(0, 200)}});
  co_await refuse(ex, 403, reasons::no_service, "This path is none of the platform's services");
}

io_task<void> refuse_method(exchange& ex, std::string allowed) {
  auto body = error_body(fail(errc::method_not_allowed, "Method Not Allowed"));
  co_await ex.reply_bytes(405, "application/json", std::move(body), {{"Allow", std::move(allowed)}});
}

std::string list_of(const std::vector<std::string>& methods) {
  std::string all;
  for (const auto& each : methods)
    all += (all.empty() ? "" : ", ") + each;
  return all;
}

io_task<result<void>> answer(exchange& ex) {
  auto& proxy = *ex.server().platform;
  auto account = co_await account_of(ex);
  if (!account)
    co_return std::move(account.error());
  if (proxy.rules().exec && ex.path() == exec_path) {
    if (ex.method() != "POST") {
      co_await refuse_method(ex, "POST");
      co_return caf::unit;
    }
    auto ran = co_await nested_exec(ex);
    co_return ran;
  }
  auto* wanted = proxy.find(ex.path());
  if (wanted == nullptr) {
    co_await refuse_violation(ex, std::move(*account));
    co_return caf::unit;
  }
  if (!wanted->allows(ex.method())) {
    co_await refuse_method(ex, list_of(wanted->settings.methods));
    co_return caf::unit;
  }
  passing way{ex, proxy, *wanted, std::move(*account)};
  auto passed = co_await way.run();
  co_return passed;
}

} // namespace

io_task<void> serve(exchange& ex) {
  auto outcome = co_await answer(ex);
  if (!outcome)
    co_await ex.reply_error(outcome.error());
}

} // namespace sandy::http::platform
