#include "app/image_provider.hpp"

#include "metrics/log.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>

namespace sandy {

io_task<result<void>> image_provider::provide(std::string name) {
  auto reference = names_.reference_of(name);
  if (!reference || !importer_.fetches(*reference))
    co_return caf::unit;
  auto initiation = [this, stored = store_name(*reference),
                     wanted = *reference]<class Handler>(Handler handler) {
    auto waiting = std::make_shared<Handler>(std::move(handler));
    wait_for(stored, wanted, [waiting](const result<void>& outcome) {
      auto copy = std::make_shared<result<void>>(outcome);
      boost::asio::post(boost::asio::get_associated_executor(*waiting),
                        [waiting, copy] { std::move (*waiting)(std::move(*copy)); });
    });
  };
  auto token = boost::asio::use_awaitable_t<io_executor>{};
  auto outcome =
      co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<io_executor>, void(result<void>)>(
          initiation, token);
  co_return outcome;
}

void image_provider::wait_for(const std::string& store_name, const image_reference& reference, waiter done) {
  {
    std::lock_guard held{mutex_};
    auto& waiting = fetching_[store_name];
    waiting.push_back(std::move(done));
    if (waiting.size() > 1)
      return;
  }
  threads_([this, store_name, reference] { fetch(store_name, reference); });
}

/// Blocking.
void image_provider::fetch(const std::string& store_name, const image_reference& reference) {
  result<void> outcome = caf::unit;
  try {
    if (!importer_.has(store_name)) {
      runtime::import_source from;
      from.reference = reference;
      from.told = false;
      auto begun = importer_.begin(store_name, from);
      auto made = begun ? (*begun)->finish() : std::move(begun.error());
      if (!made)
        outcome = std::move(made.error());
      log_event(made ? log_level::info : log_level::warn, "image_fetched",
                {{"image", reference.text()}, {"outcome", made ? "fetched" : text_of(outcome.error())}});
    }
  } catch (...) {
    outcome = coro::to_error(std::current_exception());
  }
  std::vector<waiter> waiting;
  {
    std::lock_guard held{mutex_};
    waiting = std::move(fetching_.extract(store_name).mapped());
  }
  for (const auto& each : waiting)
    each(outcome);
}

} // namespace sandy
