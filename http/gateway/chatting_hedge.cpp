#include "http/gateway/chatting.hpp"

#include "http/routes/common.hpp"

#include <boost/asio/this_coro.hpp>

#include <utility>

namespace sandy::http::gateway {

// A backend that hesitates gets company: another one is asked the same, and whoever speaks first is heard.
//
// Both are asked within one `race`, whose two sides are coroutines that end or are cancelled before it
// returns; what they hold is in the two attempts, in the frame of `ask_next`. Until then nothing is passed
// on.

using boost::asio::experimental::awaitable_operators::operator||;

namespace {

/// Until it is cancelled.
io_task<void> for_ever() {
  auto executor = co_await boost::asio::this_coro::executor;
  io_timer never{executor, io_timer::time_point::max()};
  co_await never.async_wait(routes::use_io);
}

} // namespace

/// Once in a chat: a model that is slow for everybody gets twice the chats, not more.
bool chatting::may_hedge(const backends& others) const {
  return model_.hedge_after.count() > 0 && !hedged_ && !others.empty();
}

/// @returns whose outcome counts; the other has been let go.
io_task<chatting::attempt*> chatting::ask_two(attempt& first, attempt& second, backends& others) {
  auto ended = co_await accompanied(race(first, second, others));
  racing_ = false;
  auto* one = ended ? *ended : &first;
  auto& other = one == &first ? second : first;
  if (!ended)
    one->how = interrupted(one->why);
  else if (other.how != outcome::failed && other.where != nullptr)
    others.insert(others.begin(), other.where); // it has not failed
  if (one == &second && one->how == outcome::speaks)
    model_.counted->hedge_won();
  one->why.asleep = one->why.asleep || (other.how == outcome::failed && other.why.asleep);
  settle(other);
  co_return one;
}

io_task<chatting::attempt*> chatting::race(attempt& first, attempt& second, backends& others) {
  racing_ = true;
  auto leading = lead(first, second);
  auto following = follow(second, first, others);
  auto ended = co_await (std::move(leading) || std::move(following));
  co_return ended.index() == 0 ? &first : &second;
}

/// Ends when the first speaks, or has failed and nobody else tries.
io_task<void> chatting::lead(attempt& first, const attempt& second) {
  co_await open_in_race(first);
  if (first.lost() && second.place && second.how == outcome::trying)
    co_await for_ever();
}

/// Ends when the second speaks, or has failed after the first.
io_task<void> chatting::follow(attempt& second, const attempt& first, backends& others) {
  co_await routes::pause(model_.hedge_after);
  co_await take_spare_place(second, first, others);
  if (second.place) {
    hedged_ = true;
    model_.counted->hedged();
    co_await open_in_race(second);
  }
  if (!second.place || (second.lost() && first.how == outcome::trying))
    co_await for_ever();
}

/// Another place than the first has, if one is free.
io_task<void> chatting::take_spare_place(attempt& second, const attempt& first, backends& others) {
  backend* tried = nullptr;
  for (std::size_t i = 0; i < others.size(); ++i) {
    auto* where = others[i];
    if (where == std::exchange(tried, where))
      continue;
    auto place = where->at_once(ex_.caller());
    if (!place) {
      auto spare = co_await where->acquire_spare(ex_.caller(), first.place.get());
      if (spare)
        place = std::move(*spare);
    }
    if (!place || (first.place && place->to == first.place->to && place->target == first.place->target))
      continue;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    second.where = where;
    second.place = std::move(place);
    second.asked = clock::now();
    co_return;
  }
}

/// Notes how it went, but not what only comes of being cancelled.
io_task<void> chatting::open_in_race(attempt& one) {
  auto how = co_await open(one);
  auto state = co_await boost::asio::this_coro::cancellation_state;
  if (state.cancelled() == boost::asio::cancellation_type::none)
    one.how = how;
}

} // namespace sandy::http::gateway
