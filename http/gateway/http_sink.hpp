#pragma once

#include "http/exchange.hpp"
#include "http/gateway/chat.hpp"

namespace sandy::http::gateway {

/// Passes a chat's answer on to the client who asked, as it is.
class http_sink final : public chat_sink {
public:
  /// @param ex outlives it
  http_sink(exchange& ex, const chat_ids& ids);
  io_task<result<void>> begin() override;
  io_task<result<void>> write(std::string_view text) override { return ex_.write(text); }
  io_task<void> end() override { return ex_.end_stream(); }
  io_task<void> answer(std::string text) override;

private:
  exchange& ex_;
  header_list extra_;
};

} // namespace sandy::http::gateway
