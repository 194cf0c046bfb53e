#pragma once

#include "guest/protocol.hpp"
#include "messages/sandbox_io.hpp"
#include "runtime/guest/end_state.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace sandy::guest {

/// One operation with a guest: a connection on the io_context of the coroutine that opened it. Closing
/// cancels the operation. Every call fails with sandbox_ended (the sentence says why) when the sandbox went,
/// with sandbox_failed when the guest broke the protocol, with cancelled when the coroutine is cancelled.
class connection {
public:
  using socket = boost::asio::basic_stream_socket<boost::asio::local::stream_protocol, io_executor>;

  /// @param path the guest's socket on the host.
  static io_task<result<std::unique_ptr<connection>>> open(std::string path,
                                                           std::shared_ptr<end_state> ended);

  connection(socket connected, std::shared_ptr<end_state> ended)
      : socket_(std::move(connected))
      , ended_(std::move(ended))
      , use_(ended_->uses) {}

  /// Sends whole frames. Waits while the guest takes nothing. Where the guest has closed, fails with what it
  /// said. @param passed a descriptor that the guest gets with them; may be empty.
  io_task<result<void>> send(std::string frames, std::shared_ptr<const runtime::unique_fd> passed = {});
  /// Sends whole frames; may run beside `receive`. @return false when the guest takes no more: `receive` says
  /// why.
  io_task<bool> try_send(std::string frames);

  struct frame {
    frame_type type = frame_type::failed;
    std::string payload;
  };
  /// The next frame. A `failed` frame arrives as the error it stands for.
  io_task<result<frame>> receive();

  /// The next frame as `T`; any other is a broken protocol.
  template <class T>
  io_task<result<T>> receive_as() {
    auto next = co_await receive();
    if (!next)
      co_return std::move(next.error());
    if (next->type == T::type)
      if (auto message = decode<T>(next->payload))
        co_return std::move(*message);
    co_return violation();
  }
  /// The next frame, which must be of this type, without its payload.
  io_task<result<void>> expect(frame_type type);

  /// Whether the guest answered with a refusal that carries this errno.
  bool refused_with(int error) const noexcept { return refusal_ == error; }

  /// The guest sent nonsense: tells its actor, which ends the sandbox.
  caf::error violation() const;

private:
  /// Sends the first bytes and the descriptor. @return how many.
  io_task<std::size_t> pass(std::string_view bytes, const runtime::unique_fd& passed);
  caf::error broken(const boost::system::error_code& why) const;

  socket socket_;
  std::shared_ptr<end_state> ended_;
  activity::use use_;
  std::string buffer_;   ///< received bytes
  std::size_t used_ = 0; ///< of them, taken already
  int refusal_ = 0;      ///< errno of the guest's refusal
};

} // namespace sandy::guest
