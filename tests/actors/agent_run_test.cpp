#include "agent_run_fixture.hpp"

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

TEST_CASE_METHOD(run_of_agent, "an agent gets its files, its prompt and a group, and its end is told once",
                 "[agents]") {
  begin();
  box->print("hel");
  box->print("lo\nworld\n");
  box->print("care\xc3", output_stream::standard_error);
  box->print("\xa9\nunended", output_stream::standard_error);
  read_for(200ms);
  CHECK(box->written.at("/root/.agents/printer/.printer") == "\"m\"");
  CHECK(box->spec.argv == std::vector<std::string>{"printer", "--model", "m"});
  CHECK(box->spec.group);
  CHECK(driver.groups == std::set<std::string>{"0123456789abcdef01234567/" + info().id});
  CHECK(box->input == "do it");
  CHECK(info().status == run_status::running);
  box->exit(0);
  read_for(200ms);
  check_end(0, true, false);
  CHECK(told.at(0)["message"] == "Starting Printer...");
  CHECK(told.at(1)["message"] == "Running Printer with model m...");
  CHECK(told.at(2) == nlohmann::json{{"type", "output"}, {"text", "hello"}});
  CHECK(told.at(3)["text"] == "world");
  CHECK(told.at(4) == nlohmann::json{{"type", "stderr"}, {"text", "care\xc3\xa9"}});
  CHECK(told.at(5) == nlohmann::json{{"type", "stderr"}, {"text", "unended"}});
  CHECK(info().status == run_status::succeeded);
  CHECK(info().output == "hello\nworld\n");
  CHECK(box->signals.empty());
  CHECK(driver.groups_ended == 0); // what it left running stays
  CHECK_FALSE(has_group());        // here that was nothing
}

TEST_CASE_METHOD(run_of_agent, "an exit code is passed on, and explained", "[agents]") {
  begin();
  box->exit(3);
  read_for(200ms);
  check_end(3, false, false);
  CHECK(told.at(told.size() - 2)["error"] == "Printer ended with exit code 3");
}

TEST_CASE_METHOD(run_of_agent, "a program that is not there is 127", "[agents]") {
  box->start_failure = fail(errc::invalid_argument, "The program does not exist: printer");
  begin();
  read_for(200ms);
  check_end(127, false, false);
  CHECK(count("error") == 1);
  CHECK_FALSE(has_group());
}

TEST_CASE_METHOD(run_of_agent, "a run is kept before it starts, with its process, and with its end",
                 "[agents]") {
  box->silent = true;
  begin();
  read_for(200ms);
  REQUIRE(records.worked.size() == 1);
  CHECK(records.worked[0].info.status == run_status::running);
  CHECK(records.worked[0].process_id == 0);
  box->silent = false;
  read_for(200ms);
  REQUIRE(records.worked.size() == 1);
  CHECK(records.worked[0].process_id == scripted_agent_box::process_id);
  box->print("done\n");
  box->exit(0);
  read_for(200ms);
  REQUIRE(records.worked.size() == 1);
  CHECK(records.worked[0].info.status == run_status::succeeded);
  CHECK(records.worked[0].info.output == "done\n");
  CHECK(records.worked[0].sandbox.value == "0123456789abcdef01234567");
  CHECK(info().id == records.worked[0].info.id);
}

TEST_CASE_METHOD(run_of_agent, "what cannot be kept does not start, and an end that cannot is told",
                 "[agents]") {
  records.full = true;
  begin();
  read_for(200ms);
  check_end(1, false, false);
  CHECK(box->spec.argv.empty());
  records.full = false;
  told.clear();
  begin();
  read_for(200ms);
  records.full = true;
  box->exit(0);
  read_for(200ms);
  check_end(0, true, false);
}

TEST_CASE_METHOD(run_of_agent, "signs of life come every five seconds", "[agents]") {
  begin();
  read_for(16s);
  CHECK(count("heartbeat") == 3);
  box->exit(0);
  read_for(6s);
  check_end(0, true, false);
}

TEST_CASE_METHOD(run_of_agent,
                 "a sandbox that does not answer cannot hold the end of a run that never started",
                 "[agents]") {
  box->silent = true;
  begin();
  read_for(200ms);
  CHECK(*ask(agent, cancel_agent_run{}));
  CHECK(has_group());
  read_for(6s);
  check_end(130, false, true);
  CHECK(box->spec.argv.empty());
  CHECK_FALSE(has_group()); // if it starts after all, it has none to be in, and does not run
}

TEST_CASE_METHOD(run_of_agent, "a slow reader slows the agent, and loses nothing", "[agents]") {
  begin();
  for (int i = 0; i < 100; ++i)
    box->print(std::to_string(i) + "\n");
  box->exit(0);
  advance(4s);
  CHECK(box->taken < 20);
  read_for(500ms);
  check_end(0, true, false);
  int expected = 0;
  for (const auto& each : told)
    if (each["type"] == "output")
      CHECK(each["text"] == std::to_string(expected++));
  CHECK(expected == 100);
}

TEST_CASE_METHOD(run_of_agent, "a prompt for a web project is explained, unless the caller wants it raw",
                 "[agents]") {
  box->files.insert("/workspace/package.json");
  begin();
  read_for(100ms);
  CHECK(box->input.size() > std::string{"do it"}.size());
  CHECK(box->input.find("do it") != std::string::npos);
}
