#include "agent_run_fixture.hpp"

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

TEST_CASE_METHOD(run_of_agent, "a cancelled agent is asked to end, and then killed with all that it started",
                 "[agents]") {
  begin();
  read_for(200ms);
  CHECK(*ask(agent, cancel_agent_run{}));
  CHECK(*ask(agent, cancel_agent_run{})); // it has not ended yet
  read_for(2s);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK(has_group());
  CHECK(count("complete") == 0);
  read_for(2s);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK(driver.groups_ended == 1);
  CHECK_FALSE(has_group());
  check_end(130, false, true);
  CHECK_FALSE(*ask(agent, cancel_agent_run{}));
  CHECK(info().status == run_status::cancelled);
}

TEST_CASE_METHOD(run_of_agent,
                 "an agent that obeys is swept up after at once, and its own exit code hides nothing",
                 "[agents]") {
  begin();
  read_for(200ms);
  ask(agent, cancel_agent_run{});
  box->exit(0);
  dies = false;
  read_for(300ms);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK(driver.groups_ended == 1);
  check_end(130, false, true);
}

TEST_CASE_METHOD(run_of_agent, "time that is over is told by a status, not by an error", "[agents]") {
  begin(10'000);
  read_for(9900ms);
  CHECK(box->signals.empty());
  read_for(5s);
  check_end(124, false, false);
  CHECK(count("error") == 0);
  CHECK(std::any_of(told.begin(), told.end(), [](const auto& each) {
    return each["type"] == "status" &&
           each["message"].template get<std::string>().find("10 s") != std::string::npos;
  }));
  CHECK(info().status == run_status::timed_out);
}

TEST_CASE_METHOD(run_of_agent, "a paused sandbox does not hold the end, and obeys when it goes on",
                 "[agents]") {
  begin();
  read_for(200ms);
  pause(true);
  ask(agent, cancel_agent_run{});
  read_for(15s);
  check_end(130, false, true);
  CHECK(has_group());
  pause(false);
  advance(6s);
  CHECK_FALSE(has_group());
}

TEST_CASE_METHOD(run_of_agent, "what a killed agent still prints after the end was told is nobody's",
                 "[agents]") {
  begin();
  read_for(200ms);
  pause(true);
  ask(agent, cancel_agent_run{});
  read_for(20s);
  check_end(130, false, true);
  box->print("late\n");
  box->changes.push_back(watch_event{"created", "late.txt", {}, false});
  pause(false);
  for (int i = 0; i < 20; ++i)
    advance(500ms);
  CHECK_FALSE(has_group());
  CHECK(info().status == run_status::cancelled);
}

TEST_CASE_METHOD(run_of_agent, "a run that nobody ever reads ends", "[agents]") {
  begin();
  for (int i = 0; i < 90; ++i)
    advance(500ms);
  CHECK(info().status == run_status::cancelled);
  CHECK_FALSE(has_group());
}

TEST_CASE_METHOD(run_of_agent, "a kill that fails is tried again", "[agents]") {
  begin();
  read_for(200ms);
  driver.fail_end_group = true;
  ask(agent, cancel_agent_run{});
  read_for(5s);
  CHECK(has_group());
  driver.fail_end_group = false;
  read_for(3s);
  CHECK_FALSE(has_group());
  check_end(130, false, true);
}

TEST_CASE_METHOD(run_of_agent, "the guest ends an agent that no server ends", "[agents]") {
  begin(60'000);
  read_for(100ms);
  CHECK(box->spec.timeout == 90s);
}

TEST_CASE_METHOD(run_of_agent, "without a reader the run ends, after a grace", "[agents]") {
  begin();
  read_for(200ms);
  caf::anon_send(agent, leave_agent_run{});
  run();
  advance(4s);
  CHECK(box->signals.empty());
  for (int i = 0; i < 12; ++i)
    advance(500ms);
  CHECK(box->signals == std::vector<int>{SIGINT});
  CHECK_FALSE(has_group());
  CHECK(info().status == run_status::cancelled);
}

TEST_CASE_METHOD(run_of_agent, "the end of the sandbox is the end of the run, with its reason", "[agents]") {
  begin();
  box->events.push_back(fail(errc::sandbox_ended, "sandbox preempted"));
  read_for(200ms);
  check_end(137, false, false);
  CHECK(told.at(told.size() - 2)["error"] == "sandbox preempted");
  CHECK(info().status == run_status::sandbox_ended);
}

TEST_CASE_METHOD(run_of_agent, "a server that stops ends the run and says so", "[agents]") {
  begin();
  read_for(200ms);
  CHECK(*ask(agent, cancel_agent_run{true}));
  read_for(5s);
  check_end(130, false, true);
  CHECK(told.at(told.size() - 2)["error"] == "The server stops, and ended the agent");
  CHECK(driver.groups_ended == 1);
  CHECK(info().status == run_status::cancelled);
}
