#include "coro/task.hpp"

namespace sandy::coro {

caf::error to_error(const std::exception_ptr& what) {
  try {
    std::rethrow_exception(what);
  } catch (const std::exception& e) {
    return fail(errc::internal, e.what());
  } catch (...) {
    return fail(errc::internal, "unknown exception");
  }
}

} // namespace sandy::coro
