// Whatever bytes come as frames, in either direction: decoding neither crashes nor takes more than it was
// given.

#include "guest/protocol.hpp"
#include "runtime/guest/failures.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace sandy::guest;

/// What decodes must encode to something that decodes to the same bytes.
template <class T>
void check(std::string_view payload) {
  auto message = decode<T>(payload);
  if (!message)
    return;
  std::string once;
  append_fields(once, *message);
  auto again = decode<T>(once);
  std::string twice;
  if (!again)
    std::abort();
  append_fields(twice, *again);
  if (once != twice)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes{reinterpret_cast<const char*>(data), size};
  raw_frame frame;
  while (find_frame(bytes, max_reply_payload, frame) == frame_search::found) {
    auto payload = frame.payload;
    check<pong>(payload), check<lease_request>(payload), check<spawn_request>(payload),
        check<started>(payload);
    check<chunk_head>(payload), check<gap>(payload), check<exited>(payload), check<output_request>(payload);
    check<signal_request>(payload), check<input_request>(payload), check<process_request>(payload);
    check<process_entry>(payload), check<path_request>(payload), check<read_request>(payload);
    check<write_request>(payload), check<commit_request>(payload), check<entry>(payload),
        check<list_request>(payload);
    check<directory_request>(payload), check<move_request>(payload), check<remove_request>(payload);
    check<watch_request>(payload), check<change>(payload), check<quiet>(payload);
    check<terminal_request>(payload), check<terminal_entry>(payload), check<resize_request>(payload);
    check<group_request>(payload), check<user_request>(payload);
    if (auto why = decode<failure>(payload)) {
      auto text = sandy::text_of(error_of(*why));
      if (text.size() > 8192)
        std::abort();
    }
    bytes.remove_prefix(header_bytes + payload.size());
  }
  return 0;
}
