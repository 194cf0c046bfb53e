#pragma once

// How values become bytes between a server and a guest. No I/O and no allocation beyond the values
// themselves; everything that is read is checked against what is there, because either side may be hostile to
// the other.

#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sandy::guest {

/// A frame on the wire: u32 payload length, u8 type, payload. Integers are little-endian.
inline constexpr std::size_t header_bytes = 5;
/// The most a frame to the guest may carry: room for a large environment.
inline constexpr std::size_t max_request_payload = 1024 * 1024;
/// The most a frame to the server may carry: bounds what one stream costs the server.
inline constexpr std::size_t max_reply_payload = 256 * 1024;

template <class T>
concept wire_number = std::is_integral_v<T> || std::is_enum_v<T>;

/// Appends values to a string.
class writer {
public:
  explicit writer(std::string& out)
      : out_(out) {}

  template <wire_number T>
  void operator()(T value) {
    auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8)
      out_.push_back(static_cast<char>(bits & 0xff));
  }
  void operator()(std::string_view text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
  }
  void operator()(const std::string& text) { (*this)(std::string_view{text}); }
  void operator()(const std::vector<std::string>& list) {
    (*this)(static_cast<std::uint32_t>(list.size()));
    for (const auto& text : list)
      (*this)(text);
  }
  template <class T>
    requires requires(writer& w, const T& x) { T::fields(w, x); }
  void operator()(const T& value) {
    T::fields(*this, value);
  }

private:
  std::string& out_;
};

/// Takes values from a byte string. After the first value that does not fit, `ok` is false and all later ones
/// are empty.
class reader {
public:
  explicit reader(std::string_view bytes)
      : rest_(bytes) {}

  bool ok() const noexcept { return ok_; }
  /// True when everything was valid and nothing is left over.
  bool complete() const noexcept { return ok_ && rest_.empty(); }

  template <wire_number T>
  void operator()(T& value) {
    std::uint64_t bits = 0;
    auto bytes = take(sizeof(T));
    for (std::size_t i = bytes.size(); i-- > 0;)
      bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    if constexpr (std::is_same_v<T, bool>)
      value = bits != 0;
    else
      value = static_cast<T>(bits);
  }
  void operator()(std::string& text) {
    std::uint32_t size = 0;
    (*this)(size);
    text.assign(take(size));
  }
  void operator()(std::vector<std::string>& list) {
    std::uint32_t count = 0;
    (*this)(count);
    list.clear();
    // Each element costs at least its length field, so a false count cannot make us reserve more than the
    // frame holds.
    if (!ok_ || count > rest_.size() / sizeof(std::uint32_t)) {
      ok_ = false;
      return;
    }
    list.resize(count);
    for (auto& text : list)
      (*this)(text);
  }
  template <class T>
    requires requires(reader& r, T& x) { T::fields(r, x); }
  void operator()(T& value) {
    T::fields(*this, value);
  }

private:
  std::string_view take(std::size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    auto bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  std::string_view rest_;
  bool ok_ = true;
};

/// Writes a frame's header into `out`, which has room for header_bytes.
inline void put_header(char* out, std::uint32_t payload_bytes, std::uint8_t type) {
  for (int i = 0; i < 4; ++i, payload_bytes >>= 8)
    out[i] = static_cast<char>(payload_bytes & 0xff);
  out[4] = static_cast<char>(type);
}

/// A frame found in a byte stream; `payload` points into the bytes that were searched.
struct raw_frame {
  std::uint8_t type = 0;
  std::string_view payload;
};

enum class frame_search : std::uint8_t { found, incomplete, too_large };

/// Looks for a whole frame at the start of `bytes`. On `found`, `frame` is set and the bytes to skip are
/// header_bytes + frame.payload.size().
inline frame_search find_frame(std::string_view bytes, std::size_t max_payload, raw_frame& frame) {
  if (bytes.size() < header_bytes)
    return frame_search::incomplete;
  std::uint32_t size = 0;
  for (int i = 3; i >= 0; --i)
    size = size << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  if (size > max_payload)
    return frame_search::too_large;
  if (bytes.size() - header_bytes < size)
    return frame_search::incomplete;
  frame.type = static_cast<std::uint8_t>(bytes[4]);
  frame.payload = bytes.substr(header_bytes, size);
  return frame_search::found;
}

/// Appends a frame whose payload is `bytes` as they are.
inline void append_raw(std::string& out, std::uint8_t type, std::string_view bytes) {
  char head[header_bytes];
  put_header(head, static_cast<std::uint32_t>(bytes.size()), type);
  out.append(head, header_bytes).append(bytes);
}

} // namespace sandy::guest
