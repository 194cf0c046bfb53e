// The code of Asio and Beast, compiled once for this program.

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
