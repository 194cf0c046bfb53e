#pragma once

#include "http/exchange.hpp"
#include "http/gateway/model.hpp"
#include "http/gateway/sse_lines.hpp"
#include "http/gateway/wire/translation.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace sandy::http::gateway {

/// Passes a chat's answer on to a client who speaks another dialect.
class translated_sink final : public chat_sink {
public:
  /// How the dialect words an error.
  using error_body = std::string (*)(const caf::error& err);

  /// @param ex outlives it. @param extra headers of the answer
  translated_sink(exchange& ex, std::unique_ptr<wire::translation> to, error_body errors, header_list extra);

  io_task<result<void>> begin() override;
  /// Fails, after the client was told why, also when the model's answer cannot be translated.
  io_task<result<void>> write(std::string_view text) override;
  io_task<void> end() override;
  io_task<bool> broke(std::string why) override;
  io_task<void> answer(std::string text) override;
  /// Answers with an error, before anything else was answered.
  io_task<void> refuse(caf::error why);

private:
  using clock = std::chrono::steady_clock;

  void take(std::string_view payload);
  io_task<void> end_failed();

  exchange& ex_;
  std::unique_ptr<wire::translation> to_;
  error_body errors_;
  header_list extra_;
  sse_payloads payloads_;
  std::string out_;
  caf::error failure_; ///< of the model
  clock::time_point last_said_ = clock::now();
};

} // namespace sandy::http::gateway
