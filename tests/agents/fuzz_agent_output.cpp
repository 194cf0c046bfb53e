// Whatever an agent prints, in whatever parts it arrives: reading it never throws, and each event can be
// sent.

#include "agents/json_text.hpp"
#include "agents/output_reader.hpp"
#include "agents/wire.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace sandy::agents;

void check(const std::vector<event>& events) {
  for (const auto& one : events) {
    auto bytes = event_text(one);
    if (!bytes.starts_with("data: ") || !bytes.ends_with("\n\n"))
      std::abort();
    auto object = std::string_view(bytes).substr(6, bytes.size() - 8);
    if (object.find_first_of("\r\n") != std::string_view::npos || !json::accept(object))
      std::abort();
  }
}

} // namespace

/// The first byte chooses the dialect, the second the size of the parts.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2)
    return 0;
  definition agent;
  agent.dialect = static_cast<dialect_kind>(data[0] % (static_cast<int>(dialect_kind::lines) + 1));
  std::size_t part = data[1] + 1u;
  output_reader reader(agent);
  std::string_view bytes{reinterpret_cast<const char*>(data) + 2, size - 2};
  for (; !bytes.empty(); bytes.remove_prefix(std::min(part, bytes.size())))
    check(reader.read(bytes.substr(0, part)));
  check(reader.finish());
  return 0;
}
