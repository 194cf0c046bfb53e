#include "http/routes/routes.hpp"

#include "http/client/call.hpp"
#include "http/codec/fields.hpp"
#include "http/routes/common.hpp"
#include "http/routes/gated.hpp"
#include "http/shard.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <random>

namespace sandy::http::routes {

namespace {

using boost::asio::experimental::awaitable_operators::operator&&;
using nlohmann::json;

/// Keeps a whole answer.
class kept_answer final : public gateway::chat_sink {
public:
  io_task<result<void>> begin() override { co_return streamed(); }
  io_task<result<void>> write(std::string_view) override { co_return streamed(); }
  io_task<void> end() override { co_return; }
  io_task<void> answer(std::string text) override {
    auto body = codec::parse_untrusted(text);
    if (body.is_object())
      body_ = std::move(body);
    co_return;
  }
  /// What the model said.
  std::string content() const {
    auto text = body_.value(json::json_pointer{"/choices/0/message/content"}, json{});
    return text.is_string() ? text.get<std::string>() : std::string{};
  }

private:
  static caf::error streamed() {
    return fail(errc::upstream_error, "Competitor error: a stream was not asked for");
  }
  json body_ = json::object();
};

/// The last thing that the user said.
std::string prompt_of(const json& body) {
  std::string text;
  for (const auto& message : body["messages"])
    if (message.value("role", "") == "user" && message.contains("content"))
      text =
          message["content"].is_string() ? message["content"].get<std::string>() : message["content"].dump();
  return text;
}

/// Two models of all, in any order.
std::array<const gateway::model*, 2> two_of(const std::vector<gateway::model>& all) {
  thread_local std::mt19937 random{std::random_device{}()};
  auto first = random() % all.size();
  auto second = random() % (all.size() - 1);
  return {&all[first], &all[second + (second >= first ? 1 : 0)]};
}

/// The chat that both are asked; none: the request was answered.
io_task<result<std::optional<gateway::chat_request>>> read_duel(exchange& ex) {
  auto text = co_await ex.read_body(ex.server().models->limits().body_bytes);
  if (!text)
    co_return std::move(text.error());
  json problems;
  auto request = gateway::read_chat(std::move(*text), problems);
  if (!request && !problems.empty()) {
    co_await reply_problems(ex, std::move(problems));
    co_return std::nullopt;
  }
  if (!request)
    co_return std::move(request.error());
  request->stream = false;
  request->text.clear(); // it asks for what it is not given
  for (const auto* name : {"stream", "stream_options"})
    request->body.erase(name);
  co_return std::move(*request);
}

io_task<result<void>> hold_arena(exchange& ex) {
  auto& models = *ex.server().models;
  auto read = co_await read_duel(ex);
  if (!read)
    co_return std::move(read.error());
  if (!*read)
    co_return answered();
  if (models.models().size() < 2)
    co_return fail(errc::invalid_argument, "Need at least 2 models for arena");
  auto request = std::move(**read);
  const auto pair = two_of(models.models());
  auto ids = gateway::ids_of(ex, false);
  kept_answer a, b;
  auto ask_a = gateway::chat(ex, *pair[0], request, ids, a);
  auto ask_b = gateway::chat(ex, *pair[1], request, ids, b);
  auto outcomes = co_await (std::move(ask_a) && std::move(ask_b));
  for (auto* each : {&std::get<0>(outcomes), &std::get<1>(outcomes)})
    if (!*each)
      co_return std::move(each->error());
  std::string id;
  ex.home().append_request_id(id);
  id = "arena-" + id.substr(0, 16);
  models.arena().open(id, {pair[0]->id, pair[1]->id, gateway::prompt_hash(prompt_of(request.body))});
  co_await ex.reply(200, {{"prompt_id", id},
                          {"response_a", {{"content", a.content()}}},
                          {"response_b", {{"content", b.content()}}}});
  co_return answered();
}

result<gateway::vote> read_vote(const json& body, std::string_view address) {
  codec::field_reader fields{body};
  gateway::vote cast;
  if (auto id = fields.text({"prompt_id", "promptId"}))
    cast.prompt_id = *id;
  else
    fields.missing("prompt_id");
  if (auto winner = fields.text({"winner"}))
    cast.winner = *winner;
  else
    fields.missing("winner");
  if (cast.winner != "A" && cast.winner != "B" && cast.winner != "tie" && cast.winner != "both_bad")
    fields.refuse(errc::validation_failed, "winner must be A, B, tie or both_bad");
  cast.user = fields.text({"user_id", "userId"}).value_or(std::string{address});
  if (auto since = fields.number({"session_created_at", "sessionCreatedAt"});
      since && *since > 0 && *since < 1e15)
    cast.session_created_at =
        static_cast<unix_millis>(*since < 1e11 ? *since * 1000 : *since); // seconds, too
  if (fields.failed())
    return fields.error();
  return cast;
}

/// Tells the scoring service. Fails with upstream_error.
io_task<result<void>> tell_scoring(exchange& ex, client::url where, json body) {
  client::patience limits;
  limits.first_byte = limits.between = limits.total = std::chrono::seconds{10};
  client::call asking{ex.home(), where.to, limits};
  const auto text = body.dump(-1, ' ', false, json::error_handler_t::replace);
  auto path = where.path;
  while (path.ends_with('/'))
    path.pop_back();
  path += "/api/arena/vote";
  client::request what{"POST", path, "Content-Type: application/json\r\n"};
  auto asked = co_await asking.ask(what, text);
  if (!asked)
    co_return fail(errc::upstream_error, "The scoring service cannot be reached");
  if (asking.answer().status > 299)
    co_return fail(errc::upstream_error,
                   "The scoring service refused the vote (" + std::to_string(asking.answer().status) + ")");
  co_return caf::unit;
}

/// A vote that does not count until `keep`: nobody may lose it to a service that does not answer, or to a
/// client who hangs up and asks again.
class provisional_vote {
public:
  provisional_vote(gateway::arena_book& book, const gateway::vote& cast)
      : book_(book)
      , cast_(cast) {}
  provisional_vote(const provisional_vote&) = delete;
  provisional_vote& operator=(const provisional_vote&) = delete;
  ~provisional_vote() {
    if (!kept_)
      book_.reopen(cast_);
  }
  void keep() noexcept { kept_ = true; }

private:
  gateway::arena_book& book_;
  const gateway::vote& cast_;
  bool kept_ = false;
};

io_task<result<void>> cast_vote(exchange& ex) {
  auto body = co_await read_json(ex);
  if (!body)
    co_return std::move(body.error());
  auto cast = read_vote(*body, ex.origin().address);
  if (!cast)
    co_return std::move(cast.error());
  auto& models = *ex.server().models;
  auto closed = models.arena().close(*cast);
  if (!closed)
    co_return std::move(closed.error());
  provisional_vote counted{models.arena(), *cast};
  if (models.scoring()) {
    auto told = co_await tell_scoring(ex, *models.scoring(),
                                      {{"prompt_id", cast->prompt_id},
                                       {"prompt_hash", closed->prompt_hash},
                                       {"model_a", closed->model_a},
                                       {"model_b", closed->model_b},
                                       {"winner", cast->winner},
                                       {"user_id", cast->user}});
    if (!told)
      co_return told;
  }
  counted.keep();
  co_await ex.reply(200,
                    {{"status", "recorded"}, {"model_a", closed->model_a}, {"model_b", closed->model_b}});
  co_return answered();
}

} // namespace

void add_arena_routes(std::vector<route>& table) {
  table.insert(table.end(),
               {{"POST", "/v1/chat/completions/arena", gated<hold_arena>, false, request_cost::stream},
                {"POST", "/api/arena/vote", gated<cast_vote>}});
}

} // namespace sandy::http::routes
