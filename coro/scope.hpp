#pragma once

#include "coro/intrusive_list.hpp"

#include <caf/actor_clock.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/fwd.hpp>
#include <caf/message_id.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

namespace sandy::coro {

using clock = caf::actor_clock::clock_type;
using time_point = caf::actor_clock::time_point;
using duration = caf::actor_clock::duration_type;

/// "No timeout": for requests whose receiver is part of the same supervision tree and answers or dies.
inline constexpr duration infinite = duration::max();

class scope;

/// Something a coroutine waits for: a response, a timer, the completion of an I/O operation. Owns a slot of
/// its actor's scope while pending; destroying it (with its frame) cancels it.
class operation {
public:
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

protected:
  operation() = default;
  virtual ~operation();
  /// The answer arrived (`element`), or the deadline passed (nullptr). Runs before the waiter is resumed.
  virtual void complete(caf::mailbox_element* element) = 0;

  std::coroutine_handle<> waiter_{};

private:
  friend class scope;
  struct timer_hook : list_hook {
    explicit timer_hook(operation* op)
        : owner(op) {}
    operation* owner;
  };
  timer_hook timer_{this};
  time_point deadline_{};
  std::uint64_t id_ = 0; // request id without response flag; 0: no slot
  scope* scope_ = nullptr;
};

/// A coroutine that can run, to be resumed from its actor's loop. Used where resuming inline would run code
/// of one coroutine inside another one's destructor or unlock.
struct ready_hook : list_hook {
  std::coroutine_handle<> handle{};
};

/// All coroutines of one actor: its root frames, what they wait for, and their timers. Lives in the actor and
/// is used on the actor's thread only.
///
/// Responses to our requests carry message ids with a bit of ours, so that they are found in O(1) and never
/// reach CAF's own table of pending responses, which is a linear search. Timers are one list sorted by
/// deadline with one armed event of the actor clock, because CAF's own request timeouts are never cancelled
/// (they keep the actor alive until they are due).
class scope {
public:
  explicit scope(caf::scheduled_actor* self)
      : self_(self) {}
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope();

  /// The scope of the actor that runs on this thread. Throws std::logic_error outside of actors: awaiting an
  /// actor's coroutine elsewhere is a bug.
  static scope& current();

  caf::scheduled_actor* self() const noexcept { return self_; }
  /// True while this scope's actor runs on this thread.
  bool active() const noexcept;
  /// The actor as a sender. Null once nobody refers to it any more: a new reference would bring a dead object
  /// back.
  caf::strong_actor_ptr sender() const;
  void unreferenced() noexcept { unreferenced_ = true; }

  /// Gives `op` a slot. @returns the request id that its response must carry.
  std::uint64_t add(operation* op);
  /// Takes the slot away; a late response is dropped.
  void remove(operation* op) noexcept;
  /// Completes `op` with nullptr when `deadline` passes first.
  void arm(operation* op, time_point deadline);

  /// True if the response was for a coroutine (also a late one).
  static bool is_ours(caf::message_id mid) noexcept;
  void dispatch(caf::mailbox_element& element);

  void post(ready_hook& hook) noexcept { hook.insert_before(ready_); }
  /// Resumes everything that was posted.
  void drain();

  /// Destroys all root frames: the actor ends.
  void shutdown() noexcept;
  /// Rethrows what escaped from a coroutine: the actor crashes, as it would from a plain handler.
  void rethrow_crash();
  void crashed(std::exception_ptr what) noexcept { crash_ = std::move(what); }

  /// Number of living root frames.
  std::size_t frames() const noexcept { return frames_; }

  /// Makes a scope current for a block.
  class activation {
  public:
    explicit activation(scope* s) noexcept;
    activation(const activation&) = delete;
    activation& operator=(const activation&) = delete;
    ~activation();

  private:
    scope* previous_;
  };

  /// Registers a root frame: one that nobody awaits, such as a message handler's.
  class root {
  public:
    root();
    root(const root&) = delete;
    root& operator=(const root&) = delete;
    ~root();
    scope& owner() const noexcept { return *scope_; }

  protected:
    std::coroutine_handle<> frame_{};

  private:
    friend class scope;
    struct frame_hook : list_hook {
      root* owner = nullptr;
    };
    frame_hook hook_;
    scope* scope_;
  };

private:
  struct slot {
    std::uint64_t generation = 0;
    operation* op = nullptr;
    std::uint32_t next_free = 0;
  };

  operation* find(std::uint64_t id) noexcept;
  void finish(operation* op, caf::mailbox_element* element);
  void fire_timers();
  void rearm();

  caf::scheduled_actor* self_;
  list_hook roots_;
  list_hook timers_; // sorted by deadline
  list_hook ready_;
  std::vector<slot> slots_;
  std::uint32_t first_free_ = UINT32_MAX;
  std::uint64_t timer_generation_ = 0;
  time_point armed_ = time_point::max();
  std::exception_ptr crash_;
  std::size_t frames_ = 0;
  bool unreferenced_ = false;
};

} // namespace sandy::coro
