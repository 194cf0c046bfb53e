// sandy-import-image DIRECTORY BYTES ENTRIES
//
// Makes the layers of an image from an archive that nobody trusts, in DIRECTORY/root, which becomes its root
// directory. A program rather than a part of the server so that whatever an archive does to it stays in
// there, and so that it can be ended at any time.
//
// DIRECTORY/known: the layers that are there already, one a line, by the digest of their content. BYTES,
// ENTRIES: see import_limits. Descriptor 3 is the archive, 4 a pipe for what is being done: JSON, a line
// each. What went wrong is on standard error, and in the exit status. Needs root and kernel 5.19.

#include "runtime/files.hpp"
#include "runtime/oci/confinement.hpp"
#include "runtime/oci/import_image.hpp"
#include "runtime/oci/import_status.hpp"
#include "runtime/unique_fd.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>

#if __has_feature(address_sanitizer)
// The search for leaks at the end starts a process, which the confinement forbids.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

namespace {

using namespace sandy;
using namespace sandy::runtime;

constexpr int archive = 3, progress = 4;
constexpr std::size_t most_known_bytes = 16 << 20;

/// @returns the exit status.
int complain(const caf::error& why) {
  std::fprintf(stderr, "%s\n", text_of(why).c_str());
  for (const auto& [status, code] : oci::import_statuses)
    if (code == code_of(why))
      return status;
  return 1;
}

result<void> tell(const nlohmann::json& step) {
  auto line = step.dump() + "\n"; // shorter than what a pipe takes as one piece
  if (::write(progress, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    return fail(errc::cancelled, "nobody waits for the image any more");
  return caf::unit;
}

/// Asks the kernel whether the pipe still has a reader.
result<void> go_on() {
  pollfd watched{progress, 0, 0};
  if (::poll(&watched, 1, 0) > 0 && (watched.revents & POLLERR) != 0)
    return fail(errc::cancelled, "nobody waits for the image any more");
  return caf::unit;
}

result<void> run(const std::string& directory, const oci::import_limits& limits) {
  std::set<std::string> known;
  std::istringstream lines{read_small_file(directory + "/known", most_known_bytes).value_or("")};
  for (std::string line; std::getline(lines, line);)
    known.insert(line);
  if (auto confined = oci::confine(directory + "/root"); !confined)
    return confined;
  unique_fd here{::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return oci::import_image(archive, here.get(), known, limits, {tell, go_on});
}

} // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fputs("usage: sandy-import-image DIRECTORY BYTES ENTRIES\n", stderr);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::setlocale(LC_CTYPE, "C.UTF-8"); // names in pax headers are UTF-8
  oci::import_limits limits;
  limits.bytes = std::strtoull(arguments[2], nullptr, 10);
  limits.entries = std::strtoull(arguments[3], nullptr, 10);
  try {
    auto done = run(arguments[1], limits);
    return done ? 0 : complain(done.error());
  } catch (const std::bad_alloc&) { // from a document or a compression window made to be large
    return complain(fail(errc::payload_too_large, "The image takes more memory than it may"));
  } catch (const std::exception& bug) {
    return complain(fail(errc::internal, bug.what()));
  }
}
