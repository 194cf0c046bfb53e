// sandyd, the server.

#include "app/application.hpp"
#include "app/banner.hpp"
#include "app/config.hpp"
#include "app/logging.hpp"
#include "sandy_version.hpp"

#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

namespace {

/// Every connection and every stream of a sandbox is a descriptor: take as many as we may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

} // namespace

int main(int argc, char** argv) {
  auto read =
      sandy::read_configuration({argv + 1, argv + argc}, sandy::process_environment(), sandy::version);
  if (!read.settings) {
    std::fputs(read.text.c_str(), read.exit_code == 0 ? stdout : stderr);
    return read.exit_code;
  }
  std::signal(SIGPIPE, SIG_IGN); // a reader that went away is an error code, not our end
  raise_descriptor_limit();
  sandy::start_logging(read.settings->level, read.settings->format);

  auto started = sandy::application::start(*read.settings);
  if (!started) {
    std::fprintf(stderr, "sandyd: %s\n", sandy::text_of(started.error()).c_str());
    return 1;
  }
  auto& app = **started;
  std::fputs(sandy::banner(*read.settings, app.port(), app.made_key()).c_str(), stdout);
  std::fflush(stdout);
  auto told = app.wait();
  if (told)
    app.stop();
  return told ? 0 : 1;
}
