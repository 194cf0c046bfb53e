#include "http/gateway/chatting.hpp"

#include "http/context.hpp"
#include "http/shard.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace sandy::http::gateway {

using nlohmann::json;
using std::chrono::milliseconds;

namespace {

/// What the kernel takes at once; a larger request may have to wait for its reader.
constexpr std::size_t small_body = 64 * 1024;

constexpr std::string_view still_waking = "The model is still waking up. Please try again in a moment.";

void append_line(std::string& out, std::string_view name, std::string_view value) {
  if (!value.empty())
    out.append(name).append(": ").append(value).append("\r\n");
}

std::string fields_for(exchange& ex, const chat_request& request, const chat_ids& ids) {
  std::string out =
      "Content-Type: application/json\r\nUser-Agent: sandy-gateway\r\nX-Upstream-Service: gateway\r\n";
  append_line(out, "Accept", request.stream ? "text/event-stream" : "application/json");
  append_line(out, "X-Request-Id", ids.request);
  append_line(out, "X-Correlation-ID", ids.correlation);
  append_line(out, "X-Debug-Request-Id", ids.debug);
  for (const auto* name : {"X-Baseline-Agent", "traceparent", "tracestate"})
    append_line(out, name, ex.header(name));
  return out;
}

} // namespace

chat_ids ids_of(exchange& ex, bool debug) {
  chat_ids made;
  made.request = ex.request_id();
  made.correlation = ex.header("X-Correlation-ID");
  auto random = [&](std::string_view prefix) {
    std::string id;
    ex.home().append_request_id(id);
    return std::string{prefix}.append(id, 0, 16);
  };
  if (made.correlation.empty())
    made.correlation = random("corr-");
  if (debug)
    made.debug = random("debug-");
  return made;
}

chatting::chatting(exchange& ex, const model& of, chat_request request, chat_ids ids, chat_sink& sink)
    : ex_(ex)
    , model_(of)
    , request_(std::move(request))
    , ids_(std::move(ids))
    , sink_(sink)
    , limits_(ex.server().models->limits()) {
  if (!model_.upstream_name.empty()) {
    request_.body["model"] = model_.upstream_name;
    request_.text.clear();
  }
  body_ = request_.text.empty() ? request_.body.dump() : std::move(request_.text);
  fields_ = fields_for(ex_, request_, ids_);
  model_.counted->begun();
}

chatting::~chatting() {
  model_.counted->over();
  model_.counted->ended(outcome_);
}

io_task<result<void>> chatting::run() {
  if (model_.own) {
    auto answered = co_await model_.own->answer(ex_, request_, sink_);
    outcome_ = answered ? metrics::chat_outcome::answered : metrics::chat_outcome::failed;
    co_return answered;
  }
  failed(failure_, "Connection error: the model has no server",
         fail(errc::upstream_error, "The model has no server"));
  auto how = co_await ask_all();
  if (how == outcome::gone && !begun_)
    co_return fail(errc::cancelled, "The client is gone");
  if (how == outcome::failed) {
    auto told = co_await give_up();
    co_return told;
  }
  co_return caf::unit;
}

/// Every place that is worth asking, in order, but for the fallback.
chatting::backends chatting::one_round(std::size_t turn) const {
  backends all;
  for (std::size_t i = 0; i < model_.backends.size(); ++i) {
    auto* where = model_.backends[(turn + i) % model_.backends.size()].get();
    all.insert(all.end(), where->places(), where);
  }
  return all;
}

/// One backend after the other, until one says something.
io_task<chatting::outcome> chatting::ask_all() {
  const auto turn = model_.backends.size() > 1 ? ex_.server().models->next_turn() : 0;
  for (unsigned round = 0; round < limits_.attempts; ++round) {
    auto asleep = false;
    auto next = one_round(turn);
    auto* last = model_.fallback.get();
    while (!next.empty() || last != nullptr) {
      if (next.empty())
        next.push_back(std::exchange(last, nullptr));
      auto how = co_await ask_next(next);
      if (how != outcome::failed || failure_.final)
        co_return how;
      asleep = asleep || failure_.asleep;
    }
    failure_.asleep = asleep;
    if (!asleep || left(limits_.total, started_).count() <= 1 || round + 1 == limits_.attempts)
      break;
    auto woken = co_await wake_up(round);
    if (woken != outcome::failed || failure_.final)
      co_return woken;
  }
  co_return outcome::failed;
}

/// The client is gone, or the server stops.
chatting::outcome chatting::interrupted(trouble& why) {
  if (gone_)
    return outcome::gone;
  why = {};
  failed(why, "The server is stopping.", fail_for_now(errc::shutting_down, "The server is stopping", 1));
  why.final = why.sound = true;
  return outcome::failed;
}

/// Gives a backend time to wake up. @returns failed when it is to be asked again
io_task<chatting::outcome> chatting::wake_up(unsigned round) {
  if (request_.stream) {
    auto sent = co_await write(": warming upstream\n\n");
    if (!sent)
      co_return outcome::gone;
  }
  auto wait = std::min(limits_.longest_wake_wait, limits_.wake_wait * (1u << std::min(round, 10u)));
  auto waited = co_await accompanied(rest(left(wait, clock::now())));
  if (waited)
    co_return outcome::failed;
  co_return interrupted(failure_);
}

/// Asks the first of these, and another one if it hesitates, and passes on what is answered. Takes out who
/// was asked in vain.
io_task<chatting::outcome> chatting::ask_next(backends& others) {
  if (std::exchange(asked_, true))
    model_.counted->tried_again();
  attempt first{others.front()};
  others.erase(others.begin());
  attempt second{nullptr};
  auto* one = &first;
  if (may_hedge(others)) {
    one = co_await ask_two(first, second, others);
  } else {
    first.how = co_await open(first);
    if (first.how == outcome::failed)
      first.lines.break_off(left_over_);
  }
  if (one->how == outcome::speaks) {
    auto passed_on = request_.stream ? take_stream(*one) : take_whole(*one);
    one->how = co_await std::move(passed_on);
  }
  settle(*one);
  for (const auto* each : {&first, &second})
    if (each->why.full) // for whoever asks again, too
      std::erase(others, each->where);
  failure_ = std::move(one->why);
  co_return one->how;
}

/// Lets go of the connection, and then of the place.
void chatting::settle(attempt& one) {
  one.call.reset();
  if (one.place)
    one.place->finished(one.why.sound || (outcome_ != metrics::chat_outcome::broken && !one.lost()));
  one.place.reset();
}

/// Asks one backend, until it says its first word.
io_task<chatting::outcome> chatting::open(attempt& one) {
  if (!one.place)
    one.place = one.where->at_once(ex_.caller());
  if (!one.place) {
    auto acquired = co_await accompanied(one.where->acquire(ex_.caller(), left(limits_.total, started_)));
    if (!acquired)
      co_return interrupted(one.why);
    if (!*acquired) {
      one.why.full = true;
      auto text = text_of(acquired->error());
      co_return failed(one.why, "Connection error: " + text, std::move(acquired->error()));
    }
    one.place = std::move(**acquired);
    one.asked = clock::now(); // the wait for a place is not the model's
  }
  auto how = co_await send(one);
  co_return how;
}

client::patience chatting::patience() const {
  client::patience made;
  made.connect = left(limits_.connect, clock::now());
  made.first_byte = limits_.first_token;
  made.between = limits_.between;
  made.total = left(limits_.total, started_);
  return made;
}

io_task<chatting::outcome> chatting::send(attempt& one) {
  const auto fields = fields_ + one.place->fields;
  const client::request what{"POST", one.place->target, fields, true};
  auto& call = one.call;
  for (auto again = true;; again = false) {
    call.emplace(ex_.home(), one.place->to, patience());
    if (!again || !call->reuse()) {
      auto connected = co_await accompanied(call->connect());
      if (!connected)
        co_return interrupted(one.why);
      if (!*connected) {
        auto text = text_of(connected->error());
        co_return failed(one.why, "Connection error: " + text, std::move(connected->error()));
      }
    }
    std::optional<result<void>> sent;
    if (body_.size() <= small_body) {
      auto done = co_await call->send_request(what, body_);
      sent.emplace(std::move(done));
    } else {
      sent = co_await accompanied(call->send_request(what, body_));
    }
    if (!sent)
      co_return interrupted(one.why);
    if (!*sent)
      co_return failed(one.why, "Connection error: " + text_of(sent->error()), std::move(sent->error()));
    auto reused = call->reused();
    auto how = co_await take_head(one);
    if (how != outcome::failed || !one.died || !reused)
      co_return how;
  }
}

/// Nobody has answered.
io_task<result<void>> chatting::give_up() {
  outcome_ = failure_.refused ? metrics::chat_outcome::refused : metrics::chat_outcome::failed;
  if (!begun_) {
    if (failure_.asleep)
      co_return fail_for_now(errc::capacity_exhausted, std::string{still_waking}, 15);
    co_return std::move(failure_.error);
  }
  auto how = outcome_;
  co_await tell(failure_.asleep ? std::string{still_waking} : failure_.text);
  outcome_ = how;
  co_return caf::unit;
}

io_task<result<void>> chat(exchange& ex, const model& of, chat_request request, chat_ids ids,
                           chat_sink& sink) {
  chatting talk{ex, of, std::move(request), std::move(ids), sink};
  auto outcome = co_await talk.run();
  co_return outcome;
}

} // namespace sandy::http::gateway
