#pragma once

#include "coro/pool.hpp"
#include "http/connection.hpp"
#include "http/context.hpp"
#include "http/exchange.hpp"
#include "http/request_head.hpp"
#include "http/router.hpp"
#include "http/routes/common.hpp"
#include "http/target.hpp"
#include "metrics/registry.hpp"
#include "runtime/unique_fd.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Runs route handlers without a socket and without a sandbox: an exchange, a worker and a sandbox in memory.

namespace sandy::tests {

inline const sandbox_id living{"46da12d345fb7c0146da12d3"};

/// A request that the test made, and the answer that a handler gave.
class memory_exchange final : public http::exchange {
public:
  memory_exchange(http::context& server, const http::router& routes, io_executor executor);

  // The request.
  std::string verb = "GET";
  std::string target = "/";
  http::header_list headers;
  std::deque<std::string> pieces; ///< of the body
  caf::error body_error;          ///< what reading fails with after the pieces
  principal asker{tenant_id{"acme"}};
  principal from; ///< the sandbox from inside of which it comes

  // The answer.
  unsigned status = 0;
  std::string type;
  std::string sent;
  http::header_list sent_headers;
  std::optional<std::uint64_t> announced;
  bool ended = false; ///< false: the client saw a cut
  std::size_t largest_write = 0;
  std::size_t takes = SIZE_MAX; ///< bytes that the client takes before it is gone
  nlohmann::json json() const;
  std::string sent_header(std::string_view name) const;

  /// Runs the handler of the route. Throws std::logic_error when there is none.
  io_task<void> run();
  /// The client hangs up. On the handler's thread.
  void leave();
  /// The client's end of the connection that `take_over` gives to the handler; it may be used, and have bytes
  /// in it, before. A blocking socket.
  runtime::unique_fd connect();

  std::string_view method() const noexcept override { return verb; }
  std::string_view path() const noexcept override { return parsed_.path(); }
  std::string_view param(std::string_view name) const override;
  std::optional<std::string> query(std::string_view name) const override { return parsed_.query(name); }
  std::string_view header(std::string_view name) const override;
  const principal& caller() const noexcept override { return asker; }
  const principal& inside() const noexcept override { return from; }
  std::string_view request_id() const noexcept override { return "r1"; }
  io_task<result<std::string>> read_body(std::uint64_t limit) override;
  io_task<result<std::string>> read_some() override;
  std::optional<std::uint64_t> content_length() const noexcept override;
  io_task<void> reply(unsigned code, const nlohmann::json& body, http::header_list extra) override;
  io_task<void> reply_bytes(unsigned code, std::string_view content_type, std::string body,
                            http::header_list extra) override;
  io_task<void> reply_error(const caf::error& err) override;
  io_task<result<void>> begin_stream(unsigned code, std::string_view content_type,
                                     std::optional<std::uint64_t> length, http::header_list extra) override;
  io_task<result<void>> write(std::string_view bytes) override;
  io_task<void> end_stream() override;
  io_task<void> hang_up() override;
  bool has_hung_up() noexcept override { return gone_; }
  http::connection& take_over() override;
  void begin_passed(const http::passed_answer& head) override;
  io_task<result<void>> flush() override { co_return caf::unit; }
  http::context& server() noexcept override { return server_; }
  const http::request_head& head() const noexcept override { return head_; }
  http::request_origin origin() override { return {"192.0.2.7", 0}; }
  const http::ingress::addressed_sandbox* addressed() const noexcept override { return nullptr; }
  bool from_node() const noexcept override { return false; }
  admission budget() const noexcept override { return {}; }
  http::shard& home() override;

private:
  void begin(unsigned code, std::string_view content_type, http::header_list extra);

  http::context& server_;
  const http::router& routes_;
  http::request_target parsed_;
  http::request_head head_;
  http::router::match match_;
  bool gone_ = false;
  http::io_timer hung_up_;
  runtime::unique_fd accepted_; ///< the other end of what `connect` made
  std::shared_ptr<http::shard> shard_;
  std::unique_ptr<http::connection> taken_;
};

/// One file of the sandbox in memory.
struct memory_file {
  std::string bytes;
  unix_millis modified_at = 1000;
};

/// A sandbox in memory. Tests script what its processes do.
class memory_io final : public sandbox_io {
public:
  std::map<std::string, memory_file> files;
  std::vector<result<process_event>> events; ///< of the next process; afterwards it is silent
  std::vector<result<watch_event>> changes;
  caf::error start_error;
  bool stuck_input = false; ///< nobody reads standard input
  bool stuck = false;       ///< questions about processes are never answered
  process_spec started;
  std::string input;
  std::optional<terminal_size> terminal; ///< of its process, as last told
  bool input_closed = false;
  int signalled = 0;
  int streams_open = 0;
  int sinks_open = 0;
  int opened_files = 0;
  std::string unpacked;
  write_options written;
  std::uint64_t output_from = 0;
  bool output_followed = false;
  std::size_t piece_bytes = 256 * 1024;
  std::function<void()> on_silence; ///< called when a stream has nothing more to say
  std::function<void()> on_read;    ///< called before each piece of a file

  io_task<result<std::unique_ptr<process_stream>>> exec(process_spec spec) override;
  io_task<result<process_info>> start(process_spec spec) override;
  io_task<result<std::vector<process_info>>> processes() override;
  io_task<result<process_info>> process(std::uint32_t process_id) override;
  io_task<result<std::unique_ptr<process_stream>>> output(std::uint32_t process_id, std::uint64_t offset,
                                                          bool follow) override;
  io_task<result<void>> write_stdin(std::uint32_t process_id, std::string bytes, bool close) override;
  io_task<result<void>> resize(std::uint32_t process_id, terminal_size size) override;
  io_task<result<void>> signal(std::uint32_t process_id, int signal, bool tree) override;
  io_task<result<open_file>> read_file(std::string path, std::uint64_t offset, std::uint64_t length) override;
  io_task<result<std::unique_ptr<byte_sink>>> write_file(write_options options) override;
  io_task<result<file_info>> stat(std::string path) override;
  io_task<result<std::vector<file_info>>> list(list_options options) override;
  io_task<result<void>> make_directory(std::string path, std::uint32_t mode) override;
  io_task<result<void>> move(std::string from, std::string to, bool overwrite) override;
  io_task<result<void>> remove(std::string path, bool recursive) override;
  io_task<result<std::unique_ptr<byte_source>>> archive(std::string directory, bool gzip) override;
  io_task<result<std::unique_ptr<archive_sink>>> unarchive(std::string directory) override;
  io_task<result<std::unique_ptr<watch_stream>>> watch(watch_options options) override;
};

/// What the worker in memory was asked, and what it answers. Used by the pool's thread while a request runs.
struct worker_script {
  std::vector<std::string> asked;       ///< "get acme 46da12d3..."
  create_sandbox wished;                ///< the last creation asked for
  fork_sandbox forked;                  ///< the last fork
  agent_order order;                    ///< the last agent asked for
  std::optional<list_sandboxes> listed; ///< the last list
  result<sandbox_info> created = sandbox_info{};
  bool create_waits = false;       ///< create never answers
  std::function<void()> on_create; ///< called when create was asked
  bool accepting = true;
  bool paused = false; ///< refuses to be used
  std::vector<sandbox_stats> stats;
};

/// The pool, the actors and the context that handlers run in, with one thread.
class stage : public data_plane {
public:
  stage();
  ~stage() override;
  std::shared_ptr<sandbox_io> find(const sandbox_id& id) override;

  /// A request for the next `run`.
  memory_exchange& request(std::string verb, std::string target, std::string body = {},
                           http::header_list headers = {});
  /// Runs it to its end.
  memory_exchange& run();
  /// Both at once.
  memory_exchange& call(std::string verb, std::string target, std::string body = {},
                        http::header_list headers = {});
  /// "/api/sandboxes/{the living one}" + rest
  static std::string of_living(std::string_view rest = {}) {
    return "/api/sandboxes/" + living.value + std::string{rest};
  }

  struct configuration : caf::actor_system_config {
    explicit configuration(coro::pool& threads);
  };
  coro::pool threads;
  configuration config;
  caf::actor_system system;
  worker_script script;
  metrics::registry metrics;
  http::router routes;
  std::shared_ptr<memory_io> io;
  std::optional<http::context> context;
  std::atomic<int> request_actors{0}; ///< alive

private:
  worker_actor worker_;
  std::vector<std::unique_ptr<memory_exchange>> exchanges_; // all of them: tests compare answers
};

} // namespace sandy::tests
