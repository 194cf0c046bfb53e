// sandy, the command-line client.

#include "app/cli/api_client.hpp"
#include "app/cli/arguments.hpp"
#include "app/cli/base_url.hpp"
#include "app/cli/commands.hpp"
#include "app/cli/interrupt.hpp"
#include "app/cli/local_key.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace {

std::map<std::string, std::string> own_environment() {
  std::map<std::string, std::string> all;
  for (auto name : {"SANDY_BASE_URL", "SANDY_API_KEY", "SANDY_DATA_DIR"})
    if (auto* value = std::getenv(name))
      all[name] = value;
  return all;
}

int exit_code_of(const sandy::error& failed, const sandy::cli::command& what) {
  if (auto signal = sandy::cli::interrupted())
    return 128 + signal;
  if (std::holds_alternative<sandy::cli::exec_command>(what) ||
      std::holds_alternative<sandy::cli::run_command>(what) ||
      std::holds_alternative<sandy::cli::shell_command>(what))
    return sandy::cli::exec_failed;
  return sandy::code_of(failed) == sandy::errc::invalid_argument ? 2 : 1;
}

} // namespace

int main(int argc, char** argv) {
  using namespace sandy::cli;
  auto read = parse_arguments({argv + 1, argv + argc}, own_environment());
  if (!read.value) {
    std::fputs(read.text.c_str(), read.exit_code == 0 ? stdout : stderr);
    return read.exit_code;
  }
  auto& [where, what] = *read.value;
  // What needs no server must not fail for the address of one.
  bool offline = std::holds_alternative<cluster_certs_command>(what);
  auto url = offline ? base_url{} : parse_base_url(where.base_url);
  if (!url) {
    std::fprintf(stderr, "sandy: %s\n", sandy::text_of(url.error()).c_str());
    return 2;
  }
  install_interrupts();
  api_client server(*url,
                    where.api_key.empty() && url->is_loopback() ? local_key(where.data_dir) : where.api_key);
  auto code = std::visit([&server](const auto& one) { return execute(server, one); }, what);
  if (!code) {
    std::fprintf(stderr, "sandy: %s\n", sandy::text_of(code.error()).c_str());
    return exit_code_of(code.error(), what);
  }
  return *code;
}
