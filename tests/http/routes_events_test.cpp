#include "http/routes_support.hpp"

#include "messages/events.hpp"

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <catch2/catch.hpp>

using namespace sandy;
using namespace sandy::tests;
using nlohmann::json;

namespace {

/// What the event log in memory was asked, and what it answers. Used by the pool's thread while a request
/// runs.
struct log_script {
  std::vector<read_events> asked;
  std::deque<result<event_page>> pages;
  std::function<void()> on_silence; ///< called when no page is left: then it never answers
};

event_log_actor::behavior_type stand_in(event_log_actor::pointer self, log_script* script) {
  return {
      [](const life_event&) {},
      [=](const read_events& question) -> caf::result<event_page> {
        script->asked.push_back(question);
        if (script->pages.empty()) {
          if (script->on_silence)
            script->on_silence();
          return self->make_response_promise();
        }
        auto page = std::move(script->pages.front());
        script->pages.pop_front();
        if (!page)
          return page.error();
        return std::move(*page);
      },
      [](settle_events) {},
      [](close_events) {},
  };
}

class event_stage : public stage {
public:
  event_stage() { context->events = system.spawn(stand_in, &log); }
  ~event_stage() override { caf::anon_send_exit(context->events, caf::exit_reason::user_shutdown); }
  log_script log;
};

life_event event_number(std::uint64_t number, life_event_type type = life_event_type::created) {
  return {number,
          1'768'903'200'000,
          {"acme"},
          living,
          {},
          type,
          type == life_event_type::ended ? end_reason::expired : end_reason::none};
}

event_page page_of(std::vector<life_event> events) {
  auto next = events.empty() ? 0 : events.back().sequence;
  return {std::move(events), next};
}

} // namespace

TEST_CASE_METHOD(event_stage, "events are told with their type as name and their number as id",
                 "[routes][events]") {
  log.pages = {page_of({event_number(4), event_number(7, life_event_type::ended)}), page_of({})};
  auto& answer = call("GET", "/api/events?follow=false");
  CHECK(answer.status == 200);
  CHECK(answer.type == "text/event-stream; charset=utf-8");
  CHECK(answer.ended);
  CHECK(answer.sent.starts_with("event: sandbox.created\nid: 4\ndata: {"));
  CHECK(answer.sent.find("\n\nevent: sandbox.ended\nid: 7\ndata: {") != std::string::npos);
  auto data = answer.sent.substr(answer.sent.rfind("data: ") + 6);
  CHECK(json::parse(data) == json{{"sequence", 7},
                                  {"type", "sandbox.ended"},
                                  {"at", "2026-01-20T10:00:00.000+00:00"},
                                  {"tenant", "acme"},
                                  {"sandbox_id", living.value},
                                  {"sandboxId", living.value},
                                  {"parent_sandbox_id", nullptr},
                                  {"parentSandboxId", nullptr},
                                  {"reason", "expired"}});
  REQUIRE(log.asked.size() == 2);
  CHECK(log.asked[0].caller == principal{tenant_id{"acme"}});
  CHECK_FALSE(log.asked[0].every_tenant);
  CHECK(log.asked[0].after == 0);
  CHECK(log.asked[0].wait_ms == 0);
  CHECK(log.asked[1].after == 7);
}

TEST_CASE_METHOD(event_stage, "a stream without events, and not followed, is empty and ends",
                 "[routes][events]") {
  log.pages = {page_of({})};
  auto& answer = call("GET", "/api/events?follow=false");
  CHECK(answer.status == 200);
  CHECK(answer.sent.empty());
  CHECK(answer.ended);
}

TEST_CASE_METHOD(event_stage, "a stream is followed until the server stops", "[routes][events]") {
  auto last = page_of({});
  last.closing = true;
  log.pages = {page_of({event_number(1)}), page_of({}), page_of({event_number(2)}), last};
  auto& answer = call("GET", "/api/events");
  CHECK(answer.ended);
  CHECK(answer.sent.find("id: 2\n") != std::string::npos);
  for (const auto& question : log.asked)
    CHECK(question.wait_ms > 0);
}

TEST_CASE_METHOD(event_stage, "a stream is followed until the client leaves", "[routes][events]") {
  auto& exchange = request("GET", "/api/events");
  log.pages = {page_of({event_number(1)})};
  log.on_silence = [&] { exchange.leave(); };
  auto& answer = run();
  CHECK(answer.sent.find("id: 1\n") != std::string::npos);
  CHECK_FALSE(answer.ended);
}

TEST_CASE_METHOD(event_stage,
                 "what is missing from the history is told as a gap, and a client resumes behind it",
                 "[routes][events]") {
  event_page gap;
  gap.missing_from = 3;
  gap.missing_to = gap.next = 9;
  log.pages = {gap, page_of({event_number(10)}), page_of({})};
  auto& answer = call("GET", "/api/events?follow=false&after=2");
  CHECK(answer.sent.starts_with(
      "event: gap\nid: 9\ndata: {\"from\":3,\"to\":9}\n\nevent: sandbox.created\nid: 10\n"));
  REQUIRE(log.asked.size() == 3);
  CHECK(log.asked[0].after == 2);
  CHECK(log.asked[1].after == 9);
}

TEST_CASE_METHOD(event_stage, "the header of a reconnecting client wins over the query", "[routes][events]") {
  log.pages = {page_of({})};
  call("GET", "/api/events?follow=false&after=2", {}, {{"Last-Event-ID", "5"}});
  CHECK(log.asked.at(0).after == 5);
}

TEST_CASE_METHOD(event_stage, "the history is left out on request", "[routes][events]") {
  event_page newest;
  newest.next = 41;
  log.pages = {newest, page_of({})};
  call("GET", "/api/events?follow=false&after=latest");
  REQUIRE(log.asked.size() == 2);
  CHECK(log.asked[0].limit == 0);
  CHECK(log.asked[1].after == 41);
  CHECK(log.asked[1].limit > 0);
}

TEST_CASE_METHOD(event_stage, "filters reach the log", "[routes][events]") {
  log.pages = {page_of({})};
  call("GET",
       "/api/events?follow=false&sandbox_id=" + living.value + "&types=sandbox.ended,%20sandbox.failed");
  CHECK(log.asked.at(0).sandbox == living);
  CHECK(log.asked.at(0).types ==
        std::vector<life_event_type>{life_event_type::ended, life_event_type::failed});
}

TEST_CASE_METHOD(event_stage, "a page is answered to who wants JSON", "[routes][events]") {
  log.pages = {page_of({event_number(4)})};
  auto& answer = call("GET", "/api/events?limit=5", {}, {{"Accept", "application/json"}});
  CHECK(answer.json()["events"][0]["sequence"] == 4);
  CHECK(answer.json()["next"] == 4);
  CHECK(answer.json()["gap"] == nullptr);
  CHECK(log.asked.at(0).limit == 5);
  CHECK(log.asked.at(0).wait_ms == 0);
}

TEST_CASE_METHOD(event_stage, "what cannot be asked is refused before the stream begins",
                 "[routes][events]") {
  auto target = GENERATE(as<std::string>{}, "sandbox_id=../etc", "types=sandbox.exploded", "after=-1",
                         "after=soon", "limit=0", "limit=1001", "follow=maybe");
  CHECK(call("GET", "/api/events?" + target).status == 400);
  CHECK(log.asked.empty());
}

TEST_CASE_METHOD(event_stage, "a log that fails is an error: the answer's, or the last event of a stream",
                 "[routes][events]") {
  log.pages = {fail(errc::internal, "broken")};
  CHECK(call("GET", "/api/events", {}, {{"Accept", "application/json"}}).status == 500);
  log.pages = {page_of({event_number(1)}), fail(errc::internal, "broken")};
  auto& stream = call("GET", "/api/events");
  CHECK(stream.sent.find("event: error\ndata: ") != std::string::npos);
  CHECK(stream.ended);
}
