/* syllabus.h: Syllabus datasets in C. Made from capi/src by cbindgen: do not edit.
 *
 * Statuses. Functions that can fail give a syllabus_status; syllabus_last_error() has the message of this thread's last call
 * that failed. A function that failed has written nothing to its out arguments but NULL to those that would hold a handle.
 *
 * Ownership. What a function puts into a `**out` belongs to the caller, who frees it once, with the function of its type:
 * syllabus_dataset_free, syllabus_window_free, syllabus_loader_free, syllabus_batch_free, syllabus_schedule_free,
 * syllabus_string_free. In any order: a window, loader, batch or schedule keeps what it needs alive, also when the dataset's
 * handle is freed before. Freeing NULL does nothing. What a struct points to belongs to the handle that filled it. Arguments are
 * read during the call and not kept (but for syllabus_memory.context).
 *
 * Threads. Datasets, windows, batches and schedules never change: any number of threads may use one at once, and any thread may
 * free one that no other uses. A loader is used by one thread at a time, any thread; a second call meanwhile gives
 * SYLLABUS_STATUS_BUSY. A process may fork at any time and use all handles in parent and child; a loader that another thread was
 * within at that moment is BUSY in the child.
 *
 * Wrong use. NULL, text that is not UTF-8, numbers that name nothing and flags out of range are SYLLABUS_STATUS_ARGUMENT or
 * SYLLABUS_STATUS_RANGE. No C program can be kept from using a handle after it was freed, freeing it twice, or passing a pointer
 * that points to something else: these are undefined.
 *
 * Files. A shard that is missing, cut or (with hash_on_first_touch, or syllabus_dataset_verify) altered is an error that names
 * it. Loaders copy tokens by reads that are checked, so a shard that is cut while a loader runs is an error too. Tokens of a
 * window are the mapped file itself: they are checked when the window is made, and must not be read once the file was cut after
 * that.
 *
 * Little-endian machines only. The library never prints, but for what Rust's runtime says of a panic, and never exits, but when
 * memory is exhausted.
 */

#ifndef SYLLABUS_H
#define SYLLABUS_H

#include <stddef.h>
#include <stdint.h>

// Number of this interface. It changes whenever a struct or a function of this header changes; compare it with
// `syllabus_abi()` when the library is loaded at run time.
#define SYLLABUS_ABI 1

// `sizes_by`: `from` counts global windows.
#define SYLLABUS_BY_WINDOW 0

// `sizes_by`: `from` counts trained positions (tokens).
#define SYLLABUS_BY_TOKEN 1

// `phase_end`: the last windows of a phase that do not fill a batch are a shorter batch.
#define SYLLABUS_PHASE_END_SHORT 0

// `phase_end`: they are left out.
#define SYLLABUS_PHASE_END_DROP 1

// `context_cut`: rank r of n holds the r-th of n equal parts of each sequence.
#define SYLLABUS_CUT_CONTIGUOUS 0

// `context_cut`: rank r of n holds parts r and 2n - 1 - r of 2n.
#define SYLLABUS_CUT_ZIGZAG 1

// `cu_seqlens`: not written.
#define SYLLABUS_BORDERS_NONE 0

// `cu_seqlens`: as many borders as there are.
#define SYLLABUS_BORDERS_EXACT 1

// `cu_seqlens`: always `max_docs` + 1 borders, the last repeated. A batch with more sequences is an error.
#define SYLLABUS_BORDERS_PADDED 2

// What a call came to. All but OK and END are errors, and `syllabus_last_error()` says what is wrong.
enum syllabus_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  SYLLABUS_STATUS_OK = 0,
  // There are no more batches. Not an error.
  SYLLABUS_STATUS_END = 1,
  // An argument is NULL where it must not be, not UTF-8, or not one of the values that it may have.
  SYLLABUS_STATUS_ARGUMENT = 2,
  // A file is missing or cannot be read.
  SYLLABUS_STATUS_IO = 3,
  // A file is not what the manifest says: cut, altered, or not of this format.
  SYLLABUS_STATUS_CORRUPT = 4,
  // The dataset was written by a newer version.
  SYLLABUS_STATUS_TOO_NEW = 5,
  // The dataset, or the state, is not the one that the caller relies on.
  SYLLABUS_STATUS_CONTRACT = 6,
  // A window, phase, rank or step that does not exist, or a number that is too large.
  SYLLABUS_STATUS_RANGE = 7,
  // Another thread is using this loader, or a former call on it ended in SYLLABUS_STATUS_INTERNAL.
  SYLLABUS_STATUS_BUSY = 8,
  // A bug in this library.
  SYLLABUS_STATUS_INTERNAL = 9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum syllabus_status syllabus_status;
#else
typedef int32_t syllabus_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// One rank's piece of one step. Its memory goes back to the loader when it is freed. It may outlive loader and dataset, and any
// number of threads may use it.
typedef struct syllabus_batch syllabus_batch;

// An opened dataset. Any number of threads may use it at once.
typedef struct syllabus_dataset syllabus_dataset;

// Hands out one rank's batches in order. One thread may use it at a time: a call that comes while another runs gives
// SYLLABUS_STATUS_BUSY and does nothing. Of one dataset there may be any number of loaders. After fork() parent and child may both
// go on with it, unless another thread was within a call on it.
typedef struct syllabus_loader syllabus_loader;

// The steps of a run: step, windows and tokens determine each other. Any number of threads may use it.
typedef struct syllabus_schedule syllabus_schedule;

// One window. It keeps the mapped shard alive, so it may outlive the dataset's handle. Any number of threads may use it.
typedef struct syllabus_window syllabus_window;

// What a batch holds. Arrays of rows x `width` lie row after row; one that was not asked for is NULL. All pointers are valid until
// the batch is freed; arrays begin at multiples of 64 bytes.
typedef struct syllabus_batch_info {
  // Its step: see `syllabus_schedule_at()`.
  uint64_t step;
  // Its number among the pieces of its step, from 0.
  uint64_t micro;
  // Pieces of its step.
  uint64_t micros;
  // Labels that are trained on in the whole step, over all ranks and pieces: what a summed loss is divided by.
  uint64_t num_targets_global;
  // Rows; may be 0 in a short batch.
  size_t rows;
  // Values in a row: S, or a context-parallel rank's part of it.
  size_t width;
  // S.
  size_t sequence_length;
  // The longest sequence between two borders of `cu_seqlens`.
  size_t max_seqlen;
  // Bytes of `input_ids`, `labels` and `position_ids`: 4 (`int32_t`) or 8 (`int64_t`).
  size_t id_bytes;
  // Rows x width: the input ids.
  const void *input_ids;
  // Rows x width: the id that follows each input.
  const void *labels;
  // Rows x width: position within the document's part, from 0 at its start.
  const void *position_ids;
  // Rows x width: number of the document's part in its row, from 1; padding is 0.
  const int32_t *segment_ids;
  // Rows x width: 1 where the label is trained on, else 0.
  const uint8_t *loss_mask;
  // Rows: global number of the window.
  const int64_t *window_ids;
  // Rows: the window's source, as an index for `syllabus_dataset_source()`.
  const int32_t *source_ids;
  // Rows: epoch of the window's first document, from 0.
  const int32_t *epochs;
  // Borders of all sequences in the flattened rows, from 0; NULL when not asked for.
  const int32_t *cu_seqlens;
  // Number of borders.
  size_t cu_seqlens_count;
} syllabus_batch_info;

// What the caller relies on: opening fails with SYLLABUS_STATUS_CONTRACT when something does not hold. Start from
// `syllabus_open_options_default()`, which relies on nothing.
typedef struct syllabus_open_options {
  // Lower-case hex BLAKE3 of the trainer's `tokenizer.json`; NULL: any.
  const char *tokenizer_digest;
  // Lower-case hex digest of the dataset; NULL: any.
  const char *dataset_digest;
  // Rows of the trainer's embedding table, in which the vocabulary must fit; 0: any.
  uint32_t vocab_size;
  // S of every phase; 0: any.
  uint32_t sequence_length;
  // Bytes of a token, 2 or 4; 0: any.
  uint32_t token_bytes;
  // Id before each document; -1: there must be none; -2: any.
  int64_t bos_id;
  // Id after each document; -1: there must be none; -2: any.
  int64_t eos_id;
  // Not 0: each shard is hashed when it is first read, and one that was altered is an error. Costs one read of the shard.
  uint8_t hash_on_first_touch;
} syllabus_open_options;

// What a dataset is. The texts are valid as long as the handle.
typedef struct syllabus_dataset_info {
  // Name of the curriculum.
  const char *name;
  // Hex digest.
  const char *digest;
  // Windows of all phases.
  uint64_t windows;
  // Phases, in training order: see `syllabus_dataset_phase()`.
  size_t phases;
  // Held-out sets: see `syllabus_dataset_validation()`.
  size_t validation;
  // Sources: see `syllabus_dataset_source()`.
  size_t sources;
  // Bytes of a token on disk and in `syllabus_window_info.tokens`: 2 or 4, unsigned.
  uint32_t token_bytes;
  // 1 + the largest id of the tokenizer.
  uint32_t vocab_size;
  // Largest id in the dataset.
  uint32_t max_token_id;
  // Id of padding.
  uint32_t pad_id;
  // Id before each document; -1: none.
  int64_t bos_id;
  // Id after each document; -1: none.
  int64_t eos_id;
} syllabus_dataset_info;

// A phase or a held-out set. The name is valid as long as the dataset's handle.
typedef struct syllabus_set_info {
  // Name of the phase, or HOLDOUT/SOURCE.
  const char *name;
  // Windows.
  uint64_t windows;
  // Global number of its first window; 0 for a held-out set.
  uint64_t first_window;
  // Trained positions of all phases before it; 0 for a held-out set.
  uint64_t first_position;
  // S: trained positions of a window.
  uint32_t sequence_length;
  // W: tokens of a window, S + 1 or S.
  uint32_t window_tokens;
  // Shards.
  size_t shards;
} syllabus_set_info;

// Batches of `windows` windows from `from` on.
typedef struct syllabus_batch_size {
  // A global window, or a trained position.
  uint64_t from;
  // Windows of a global batch.
  uint64_t windows;
} syllabus_batch_size;

// Global windows from `from` to before `to`.
typedef struct syllabus_span {
  // The first.
  uint64_t from;
  // The one after the last.
  uint64_t to;
} syllabus_span;

// What a loader hands out. Start from `syllabus_loader_options_default()`. What it points to is read during
// `syllabus_loader_new()` and not kept. Flags are 0 or not 0.
typedef struct syllabus_loader_options {
  // Windows of a global batch, over all ranks. Not read when `sizes_count` is not 0.
  uint64_t batch;
  // A schedule of batch sizes, ascending from 0; NULL: always `batch`.
  const struct syllabus_batch_size *sizes;
  // Number of `sizes`.
  size_t sizes_count;
  // What `sizes[i].from` counts: SYLLABUS_BY_WINDOW or SYLLABUS_BY_TOKEN.
  uint32_t sizes_by;
  // This data-parallel rank, below `world`.
  uint32_t rank;
  // Number of data-parallel ranks.
  uint32_t world;
  // Windows of this rank in one batch that is handed out (a piece of the step); 0: all of its part of the step.
  uint64_t micro;
  // First global window.
  uint64_t start;
  // Windows to leave out; NULL: none.
  const struct syllabus_span *skip;
  // Number of `skip`.
  size_t skip_count;
  // SYLLABUS_PHASE_END_SHORT or SYLLABUS_PHASE_END_DROP.
  uint32_t phase_end;
  // This context-parallel rank, below `context_ranks`.
  uint32_t context_rank;
  // Ranks that share each sequence; 0: sequences are whole.
  uint32_t context_ranks;
  // SYLLABUS_CUT_CONTIGUOUS or SYLLABUS_CUT_ZIGZAG.
  uint32_t context_cut;
  // Read this phase alone; NULL: all phases.
  const char *phase;
  // Read this held-out set (HOLDOUT/SOURCE) instead of phases; NULL: phases.
  const char *validation;
  // Bytes of `input_ids`, `labels` and `position_ids`: 4 (`int32_t`) or 8 (`int64_t`).
  uint32_t id_bytes;
  // How `cu_seqlens` is written: SYLLABUS_BORDERS_...
  uint32_t cu_seqlens;
  // Sequences that fit a batch with SYLLABUS_BORDERS_PADDED.
  size_t max_docs;
  // Whether `labels` is written.
  uint8_t labels;
  // Whether `position_ids` is written.
  uint8_t position_ids;
  // Whether `segment_ids` is written.
  uint8_t segment_ids;
  // Whether `loss_mask` is written.
  uint8_t loss_mask;
  // Whether labels that begin another document are masked too: nothing in the window foretells them.
  uint8_t mask_document_starts;
  // Whether masked labels are `ignore_index`; else they are the token that follows.
  uint8_t mask_labels;
  // Value of masked labels.
  int32_t ignore_index;
  // Threads that fill ahead; 0: the call fills. At most 1,024.
  size_t threads;
  // Bound on the bytes of batches that are filled ahead. One is always.
  size_t prefetch_bytes;
} syllabus_loader_options;

// Memory for batches, made by the caller: pinned for a GPU, say.
//
// `allocate` gives at least `bytes` bytes that begin at a multiple of 64, or NULL when there is no more; it is called only on a
// thread that is within `syllabus_loader_next()`. `release` gets back what `allocate` gave, once; it is called on whichever
// thread frees a batch or the loader. Both must not throw, jump out, or call into the loader. `context` is handed to both and
// must live until the loader and all its batches are freed.
typedef struct syllabus_memory {
  // Handed to both functions.
  void *context;
  // Makes a block.
  void *(*allocate)(void *context, size_t bytes);
  // Takes a block back.
  void (*release)(void *context, void *block, size_t bytes);
  // A block that came back rests until so many more batches were handed out, for whoever copies from it asynchronously.
  uint64_t rest;
} syllabus_memory;

// One step. The text is valid as long as the schedule.
typedef struct syllabus_step_info {
  // Its number.
  uint64_t step;
  // Name of its phase, or held-out set.
  const char *phase;
  // Its phase, counted from 0 among the sets that are read.
  size_t phase_index;
  // S of its phase.
  uint32_t sequence_length;
  // First global window.
  uint64_t start;
  // The global window after its last.
  uint64_t end;
  // Number of its windows, over all ranks.
  uint64_t windows;
  // Part of its phase that lies before its first window: 0 to below 1.
  double progress;
  // Place of its first window in the curriculum, in trained positions.
  uint64_t position;
  // Trained positions of all steps before it.
  uint64_t tokens;
} syllabus_step_info;

// The part of one document that lies in one window.
typedef struct syllabus_fragment {
  // First token, counted in the window.
  uint32_t start;
  // Number of tokens.
  uint32_t length;
  // First token, counted in the document's tokens (its BOS and EOS counted).
  uint32_t offset;
  // Epoch of the source, from 0.
  uint32_t epoch;
  // The document's key: XXH3-128 of its UTF-8 bytes, big-endian.
  uint8_t document[16];
} syllabus_fragment;

// What a window is. All pointers are valid until the window is freed.
typedef struct syllabus_window_info {
  // Its number, as asked for.
  uint64_t index;
  // Its W tokens, padding among them, in the mapped file: `uint16_t` or `uint32_t`, as `token_bytes` says. Read-only.
  const void *tokens;
  // Number of tokens.
  size_t tokens_count;
  // Bytes of a token: 2 or 4.
  uint32_t token_bytes;
  // Padding tokens at its end.
  uint32_t padding;
  // Its source, as an index for `syllabus_dataset_source()`.
  uint32_t source_index;
  // Its source's name.
  const char *source;
  // Name of its phase or held-out set.
  const char *phase;
  // Documents in it, in order; they tile the tokens before the padding.
  const struct syllabus_fragment *fragments;
  // Number of fragments.
  size_t fragments_count;
} syllabus_window_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The interface of the library that is linked: `SYLLABUS_ABI` of its header.
uint32_t syllabus_abi(void);

// The version of the library, as "0.1.0". Static.
const char *syllabus_version(void);

// Writes what the batch holds to `*out`.
syllabus_status syllabus_batch_describe(const struct syllabus_batch *batch, struct syllabus_batch_info *out);

// Frees the batch; NULL is allowed.
void syllabus_batch_free(struct syllabus_batch *batch);

// Relies on nothing, hashes nothing.
struct syllabus_open_options syllabus_open_options_default(void);

// Opens the dataset in folder `path`: reads its manifest and compares the size of every shard with it. Nothing is mapped yet.
// `options` may be NULL. On success `*out` is a handle to be freed with `syllabus_dataset_free()`; else it is NULL.
syllabus_status syllabus_open(const char *path,
                              const struct syllabus_open_options *options,
                              struct syllabus_dataset **out);

// Frees the handle; NULL is allowed. Windows, loaders, batches and schedules that were made from it stay valid.
void syllabus_dataset_free(struct syllabus_dataset *dataset);

// Writes what the dataset is to `*out`.
syllabus_status syllabus_dataset_describe(const struct syllabus_dataset *dataset,
                                          struct syllabus_dataset_info *out);

// Writes what phase `index` is to `*out`, counted from 0 in training order.
syllabus_status syllabus_dataset_phase(const struct syllabus_dataset *dataset,
                                       size_t index,
                                       struct syllabus_set_info *out);

// Writes what held-out set `index` is to `*out`, counted from 0.
syllabus_status syllabus_dataset_validation(const struct syllabus_dataset *dataset,
                                            size_t index,
                                            struct syllabus_set_info *out);

// Sets `*name` to the name of source `index`, counted from 0; valid as long as the dataset's handle.
syllabus_status syllabus_dataset_source(const struct syllabus_dataset *dataset,
                                        size_t index,
                                        const char **name);

// Reads every byte of every shard and compares it with the manifest's digests. Takes as long as reading all of it.
syllabus_status syllabus_dataset_verify(const struct syllabus_dataset *dataset);

// The message of this thread's last call that failed; "" when none did. It says what is wrong and names the file. It is
// replaced by this thread's next call that fails and gone when the thread ends: copy what is to be kept. Never NULL, not to be
// freed.
const char *syllabus_last_error(void);

// A loader over `dataset`, in memory of the library's own or, where `memory` is not NULL, of the caller's. `options` must not be
// NULL. On success `*out` is a handle to be freed with `syllabus_loader_free()`; else it is NULL.
syllabus_status syllabus_loader_new(const struct syllabus_dataset *dataset,
                                    const struct syllabus_loader_options *options,
                                    const struct syllabus_memory *memory,
                                    struct syllabus_loader **out);

// Ends the loader's threads and frees it; NULL is allowed. No call on it may be running. Batches that were handed out stay
// valid.
void syllabus_loader_free(struct syllabus_loader *loader);

// The next batch: a handle in `*out`, to be freed with `syllabus_batch_free()`. After the last, SYLLABUS_STATUS_END and NULL. Every
// rank gets the same number of batches, if need be without rows. After an error the loader stays where it is: the next call
// tries the same batch again.
syllabus_status syllabus_loader_next(struct syllabus_loader *loader,
                                     struct syllabus_batch **out);

// Sets `*remaining` to the number of batches that are left.
syllabus_status syllabus_loader_remaining(const struct syllabus_loader *loader, uint64_t *remaining);

// Sets `*json` to where the run stands: a text to keep in a checkpoint, freed with `syllabus_string_free()`. It counts what was
// handed out and not what was filled ahead, holds no batch size, and is the same on all ranks.
syllabus_status syllabus_loader_state(const struct syllabus_loader *loader,
                                      char **json);

// Goes on from a state, which may come from a run with other ranks, other batch sizes, or a dataset that this one extends.
// Refused with SYLLABUS_STATUS_CONTRACT when it is of another dataset; the loader is then as it was.
syllabus_status syllabus_loader_load_state(struct syllabus_loader *loader,
                                           const char *json);

// The loader's steps, in a handle to be freed with `syllabus_schedule_free()`. It is a copy: loading another state does not
// change it.
syllabus_status syllabus_loader_schedule(const struct syllabus_loader *loader,
                                         struct syllabus_schedule **out);

// Frees a text that a function of this library handed over; NULL is allowed.
void syllabus_string_free(char *text);

// Batches of one window for a single rank over all phases, with all arrays, ids of 8 bytes, masked labels of -100, filled ahead
// by one thread into at most 256 MiB.
struct syllabus_loader_options syllabus_loader_options_default(void);

// Sets `*first` to the number of the first step and `*end` to the number after the last. Either may be NULL.
syllabus_status syllabus_schedule_steps(const struct syllabus_schedule *schedule,
                                        uint64_t *first,
                                        uint64_t *end);

// Writes what step `step` is to `*out`.
syllabus_status syllabus_schedule_at(const struct syllabus_schedule *schedule,
                                     uint64_t step,
                                     struct syllabus_step_info *out);

// Sets `*step` to the step that trains on global window `window`.
syllabus_status syllabus_schedule_step_of(const struct syllabus_schedule *schedule,
                                          uint64_t window,
                                          uint64_t *step);

// Frees the schedule; NULL is allowed.
void syllabus_schedule_free(struct syllabus_schedule *schedule);

// Window `index`, counted from 0 over all phases in training order. Its pages are brought into memory by a call that can fail:
// a shard that was cut is an error that names it. On success `*out` is a handle to be freed with `syllabus_window_free()`; else
// it is NULL.
syllabus_status syllabus_dataset_window(const struct syllabus_dataset *dataset,
                                        uint64_t index,
                                        struct syllabus_window **out);

// Window `index`, counted from 0, of held-out set `set`; as `syllabus_dataset_window()`.
syllabus_status syllabus_dataset_validation_window(const struct syllabus_dataset *dataset,
                                                   size_t set,
                                                   uint64_t index,
                                                   struct syllabus_window **out);

// Writes what the window is to `*out`.
syllabus_status syllabus_window_describe(const struct syllabus_window *window,
                                         struct syllabus_window_info *out);

// Frees the window; NULL is allowed.
void syllabus_window_free(struct syllabus_window *window);

// The message of this thread's last call that failed; "" when none did. It says what is wrong and names the file. It is
// replaced by this thread's next call that fails and gone when the thread ends: copy what is to be kept. Never NULL, not to be
// freed.
const char *syllabus_last_error(void);

// Relies on nothing, hashes nothing.
struct syllabus_open_options syllabus_open_options_default(void);

// Opens the dataset in folder `path`: reads its manifest and compares the size of every shard with it. Nothing is mapped yet.
// `options` may be NULL. On success `*out` is a handle to be freed with `syllabus_dataset_free()`; else it is NULL.
syllabus_status syllabus_open(const char *path,
                              const struct syllabus_open_options *options,
                              struct syllabus_dataset **out);

// Frees the handle; NULL is allowed. Windows, loaders, batches and schedules that were made from it stay valid.
void syllabus_dataset_free(struct syllabus_dataset *dataset);

// Writes what the dataset is to `*out`.
syllabus_status syllabus_dataset_describe(const struct syllabus_dataset *dataset,
                                          struct syllabus_dataset_info *out);

// Writes what phase `index` is to `*out`, counted from 0 in training order.
syllabus_status syllabus_dataset_phase(const struct syllabus_dataset *dataset,
                                       size_t index,
                                       struct syllabus_set_info *out);

// Writes what held-out set `index` is to `*out`, counted from 0.
syllabus_status syllabus_dataset_validation(const struct syllabus_dataset *dataset,
                                            size_t index,
                                            struct syllabus_set_info *out);

// Sets `*name` to the name of source `index`, counted from 0; valid as long as the dataset's handle.
syllabus_status syllabus_dataset_source(const struct syllabus_dataset *dataset,
                                        size_t index,
                                        const char **name);

// Reads every byte of every shard and compares it with the manifest's digests. Takes as long as reading all of it.
syllabus_status syllabus_dataset_verify(const struct syllabus_dataset *dataset);

// Window `index`, counted from 0 over all phases in training order. Its pages are brought into memory by a call that can fail:
// a shard that was cut is an error that names it. On success `*out` is a handle to be freed with `syllabus_window_free()`; else
// it is NULL.
syllabus_status syllabus_dataset_window(const struct syllabus_dataset *dataset,
                                        uint64_t index,
                                        struct syllabus_window **out);

// Window `index`, counted from 0, of held-out set `set`; as `syllabus_dataset_window()`.
syllabus_status syllabus_dataset_validation_window(const struct syllabus_dataset *dataset,
                                                   size_t set,
                                                   uint64_t index,
                                                   struct syllabus_window **out);

// Writes what the window is to `*out`.
syllabus_status syllabus_window_describe(const struct syllabus_window *window,
                                         struct syllabus_window_info *out);

// Frees the window; NULL is allowed.
void syllabus_window_free(struct syllabus_window *window);

// Batches of one window for a single rank over all phases, with all arrays, ids of 8 bytes, masked labels of -100, filled ahead
// by one thread into at most 256 MiB.
struct syllabus_loader_options syllabus_loader_options_default(void);

// Frees a text that a function of this library handed over; NULL is allowed.
void syllabus_string_free(char *text);

// A loader over `dataset`, in memory of the library's own or, where `memory` is not NULL, of the caller's. `options` must not be
// NULL. On success `*out` is a handle to be freed with `syllabus_loader_free()`; else it is NULL.
syllabus_status syllabus_loader_new(const struct syllabus_dataset *dataset,
                                    const struct syllabus_loader_options *options,
                                    const struct syllabus_memory *memory,
                                    struct syllabus_loader **out);

// Ends the loader's threads and frees it; NULL is allowed. No call on it may be running. Batches that were handed out stay
// valid.
void syllabus_loader_free(struct syllabus_loader *loader);

// The next batch: a handle in `*out`, to be freed with `syllabus_batch_free()`. After the last, SYLLABUS_STATUS_END and NULL. Every
// rank gets the same number of batches, if need be without rows. After an error the loader stays where it is: the next call
// tries the same batch again.
syllabus_status syllabus_loader_next(struct syllabus_loader *loader,
                                     struct syllabus_batch **out);

// Sets `*remaining` to the number of batches that are left.
syllabus_status syllabus_loader_remaining(const struct syllabus_loader *loader, uint64_t *remaining);

// Sets `*json` to where the run stands: a text to keep in a checkpoint, freed with `syllabus_string_free()`. It counts what was
// handed out and not what was filled ahead, holds no batch size, and is the same on all ranks.
syllabus_status syllabus_loader_state(const struct syllabus_loader *loader,
                                      char **json);

// Goes on from a state, which may come from a run with other ranks, other batch sizes, or a dataset that this one extends.
// Refused with SYLLABUS_STATUS_CONTRACT when it is of another dataset; the loader is then as it was.
syllabus_status syllabus_loader_load_state(struct syllabus_loader *loader,
                                           const char *json);

// The loader's steps, in a handle to be freed with `syllabus_schedule_free()`. It is a copy: loading another state does not
// change it.
syllabus_status syllabus_loader_schedule(const struct syllabus_loader *loader,
                                         struct syllabus_schedule **out);

// Writes what the batch holds to `*out`.
syllabus_status syllabus_batch_describe(const struct syllabus_batch *batch, struct syllabus_batch_info *out);

// Frees the batch; NULL is allowed.
void syllabus_batch_free(struct syllabus_batch *batch);

// Sets `*first` to the number of the first step and `*end` to the number after the last. Either may be NULL.
syllabus_status syllabus_schedule_steps(const struct syllabus_schedule *schedule,
                                        uint64_t *first,
                                        uint64_t *end);

// Writes what step `step` is to `*out`.
syllabus_status syllabus_schedule_at(const struct syllabus_schedule *schedule,
                                     uint64_t step,
                                     struct syllabus_step_info *out);

// Sets `*step` to the step that trains on global window `window`.
syllabus_status syllabus_schedule_step_of(const struct syllabus_schedule *schedule,
                                          uint64_t window,
                                          uint64_t *step);

// Frees the schedule; NULL is allowed.
void syllabus_schedule_free(struct syllabus_schedule *schedule);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SYLLABUS_H */
