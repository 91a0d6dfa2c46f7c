#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <atomic>
#include <condition_variable>
#include <thread>
#include <vector>

namespace threads {
namespace {
constexpr int kSpins = 20000;  // some 0.1 ms: kernels and the loops in them follow closely upon each other
thread_local bool in_parallel = false;

class Team {
 public:
  explicit Team(int count) : count_(count) {
    // The thread that loads this library may be bound to one core later; its helpers are not to share that one.
    cpu_set_t cores;
    const bool known = sched_getaffinity(0, sizeof(cores), &cores) == 0;
    for (int i = 1; i < count; i++) {
      std::thread thread([this, i] { serve(i); });
      if (known) pthread_setaffinity_np(thread.native_handle(), sizeof(cores), &cores);
      thread.detach();
    }
  }

  int count() const { return count_; }

  void run(const std::function<void(int)> &task) {
    if (count_ == 1 || in_parallel) {
      for (int i = 0; i < count_; i++) task(i);
      return;
    }
    task_ = &task;
    left_.store(count_ - 1, std::memory_order_relaxed);
    round_.fetch_add(1);
    if (sleeping_.load() > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    in_parallel = true;
    task(0);
    in_parallel = false;
    for (int spins = 0; left_.load(std::memory_order_acquire) > 0; spins++) pause(spins);
  }

 private:
  static void pause(int spins) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (spins % 256 == 255) sched_yield();
  }

  void serve(int index) {
    in_parallel = true;
    for (unsigned seen = 0;; seen++) {
      int spins = 0;
      while (round_.load(std::memory_order_acquire) == seen && spins < kSpins) pause(++spins);
      if (round_.load() == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        sleeping_.fetch_add(1);
        wake_.wait(lock, [&] { return round_.load() != seen; });
        sleeping_.fetch_sub(1);
      }
      (*task_)(index);
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  const int count_;
  const std::function<void(int)> *task_ = nullptr;
  std::atomic<unsigned> round_{0};
  std::atomic<int> left_{0}, sleeping_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
};

Team *team = nullptr;

struct All : onednn::ThreadPool {
  int get_num_threads() const override { return count(); }
  bool get_in_parallel() const override { return in_parallel; }
  uint64_t get_flags() const override { return 0; }
  void parallel_for(int n, const std::function<void(int, int)> &task) override {
    loop(n, [&](int64_t i) { task(static_cast<int>(i), n); });
  }
};

struct Alone : onednn::ThreadPool {
  int get_num_threads() const override { return 1; }
  bool get_in_parallel() const override { return true; }
  uint64_t get_flags() const override { return 0; }
  void parallel_for(int n, const std::function<void(int, int)> &task) override {
    for (int i = 0; i < n; i++) task(i, n);
  }
};
}  // namespace

void start(int count) { team = new Team(count); }

int count() { return team->count(); }

void each(const std::function<void(int)> &task) { team->run(task); }

void parts(int64_t n, const std::function<void(int64_t, int64_t)> &task) {
  const int64_t all = count();
  each([&](int thread) {
    const int64_t begin = n * thread / all, end = n * (thread + 1) / all;
    if (begin < end) task(begin, end);
  });
}

void loop(int64_t n, const std::function<void(int64_t)> &task) {
  parts(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) task(i);
  });
}

onednn::ThreadPool *all() {
  static All pool;
  return &pool;
}

onednn::ThreadPool *alone() {
  static Alone pool;
  return &pool;
}

std::mutex &turn() {
  static std::mutex mutex;
  return mutex;
}

float *scratch(int slot, size_t floats) {
  struct Block {
    void *memory = nullptr;
    size_t bytes = 0;
  };
  static Block blocks[16];
  Block &block = blocks[slot];
  const size_t page = size_t{1} << 21, bytes = (floats * sizeof(float) + page - 1) / page * page;
  if (bytes > block.bytes) {
    if (block.memory != nullptr) munmap(block.memory, block.bytes);
    block.memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block.memory == MAP_FAILED) {
      block = Block();
      throw std::bad_alloc();
    }
    block.bytes = bytes;
  }
  return static_cast<float *>(block.memory);
}
}  // namespace threads
