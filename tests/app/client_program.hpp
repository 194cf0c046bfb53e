#pragma once

#include "tests/app/scripted_server.hpp"
#include "tests/app/temporary_directory.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <nlohmann/json.hpp>

namespace sandy {

inline std::string json_answer(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

struct outcome {
  int exit_code = -1;
  std::string out, err;
};

/// A run of the program, its output in files.
class program {
public:
  program(const std::string& url, std::vector<std::string> words, const std::string& input = {}) {
    directory_.write("in", input);
    words.insert(words.begin(), {SANDY_CLIENT, "--base-url", url, "--api-key", "k-1"});
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      std::vector<char*> arguments;
      for (auto& word : words)
        arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::dup2(::open((directory_.path() + "/in").c_str(), O_RDONLY), 0);
      ::dup2(::open((directory_.path() + "/out").c_str(), O_WRONLY | O_CREAT, 0600), 1);
      ::dup2(::open((directory_.path() + "/err").c_str(), O_WRONLY | O_CREAT, 0600), 2);
      ::execv(arguments[0], arguments.data());
      ::_exit(99);
    }
  }

  void signal(int number) const { ::kill(child_, number); }

  outcome wait() {
    int status = 0;
    REQUIRE(::waitpid(child_, &status, 0) == child_);
    REQUIRE(WIFEXITED(status));
    return {WEXITSTATUS(status), text("out"), text("err")};
  }

private:
  std::string text(const std::string& name) const {
    std::ifstream file(directory_.path() + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  temporary_directory directory_;
  pid_t child_ = -1;
};

inline outcome run(scripted_server& server, std::vector<std::string> words, const std::string& input = {}) {
  return program(server.url(), std::move(words), input).wait();
}

inline nlohmann::json body_of(const std::string& request) {
  return nlohmann::json::parse(request.substr(request.find("\r\n\r\n") + 4));
}

} // namespace sandy
