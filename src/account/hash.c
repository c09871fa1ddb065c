#include "account/hash.h"

#include <errno.h>
#include <gsasl.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <sys/eventfd.h>

#include "account/key.h"
#include "base/list.h"

struct job {
	struct list link;
	struct account_hash_done done;
	bool want_verifier;
	char against[ACCOUNT_HASH_MAX];
	size_t n;
	unsigned char password[ACCOUNT_PASSWORD_MAX];
};

struct account_hash {
	struct account_hash_setup setup;
	int wake;
	char dummy[ACCOUNT_HASH_MAX]; /* what the password of nobody is tested against */
	pthread_t *thread;
	unsigned threads; /* running */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t more;
	struct list queue, done;
	bool ending;
	struct account_hash_counters count;
};

const char *account_password_refused(struct slice password)
{
	char *prepared;

	if (password.n < ACCOUNT_PASSWORD_MIN)
		return "it is shorter than 8 characters";
	if (password.n > ACCOUNT_PASSWORD_MAX)
		return "it is longer than 1024 octets";
	if (account_key_form(password))
		return "it looks like an API key; those are made by postern key add";
	if (!account_prepare_password(password, &prepared))
		return "it has characters that a password may not have (control characters, or not UTF-8)";
	account_prepared_free(prepared);
	return NULL;
}

bool account_prepare_password(struct slice password, char **ret)
{
	char text[ACCOUNT_PASSWORD_MAX + 1];
	char *prepared = NULL;
	bool ok;

	if (password.n == 0 || !slice_copy(password, text, sizeof(text)))
		return false;
	ok = gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) == GSASL_OK;
	explicit_bzero(text, sizeof(text));
	if (ok && (prepared[0] == 0 || slice_str(prepared).n > ACCOUNT_PASSWORD_MAX)) {
		account_prepared_free(prepared);
		ok = false;
	}
	if (ok)
		*ret = prepared;
	return ok;
}

void account_prepared_free(char *prepared)
{
	if (prepared)
		explicit_bzero(prepared, slice_str(prepared).n);
	gsasl_free(prepared);
}

static int make_hash(const struct account_hash *h, const char *prepared, char ret[static ACCOUNT_HASH_MAX])
{
	return crypto_pwhash_str(ret, prepared, slice_str(prepared).n, h->setup.opslimit,
				 h->setup.memlimit) == 0
		       ? 0
		       : -ENOMEM;
}

/* RFC 5802 section 3: SaltedPassword is PBKDF2, of which the keys are derived. */
static int make_verifier(const char *prepared, struct account_verifier *ret)
{
	struct account_verifier v = { .rounds = ACCOUNT_VERIFIER_ROUNDS };
	char salted[32], client[32], server[32], stored[32];
	int r;

	randombytes_buf(v.salt, sizeof(v.salt));
	r = gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, prepared, v.rounds, (const char *)v.salt,
					      sizeof(v.salt), salted, client, server, stored);
	memcpy(v.stored, stored, sizeof(v.stored));
	memcpy(v.server, server, sizeof(v.server));
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	if (r != GSASL_OK)
		return -ENOMEM;
	*ret = v;
	return 0;
}

static bool take_number(struct slice *in, struct slice before, uint64_t *ret)
{
	if (!slice_starts(*in, before))
		return false;
	*in = slice_tail(*in, before.n);
	return cur_u64(in, UINT32_MAX, ret);
}

static bool take_base64(struct slice *in, unsigned char *to, size_t n)
{
	struct slice text;
	size_t got;

	*in = slice_tail(*in, 1); /* the "$" before it */
	text = slice_head(*in, slice_find(*in, '$'));
	*in = slice_tail(*in, text.n);
	return sodium_base642bin(to, n, (const char *)text.p, text.n, NULL, &got, NULL,
				 sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
	       got == n;
}

/* crypto_pwhash_str_verify() answers a lack of memory, of which this takes most of all we do,
 * as it answers a wrong password.  So the hash is computed and compared here.
 * 1: that password, 0: another, -ENOMEM. */
static int compare(const char *against, const char *prepared)
{
	unsigned char salt[crypto_pwhash_SALTBYTES], hash[32], made[32];
	struct slice in = slice_str(against), password = slice_str(prepared);
	uint64_t memory, passes, threads;
	int r = 0;

	if (!take_number(&in, SLICE_LIT("$argon2id$v=19$m="), &memory) ||
	    !take_number(&in, SLICE_LIT(",t="), &passes) || !take_number(&in, SLICE_LIT(",p="), &threads) ||
	    threads != 1 || !take_base64(&in, salt, sizeof(salt)) || !take_base64(&in, hash, sizeof(hash)))
		return crypto_pwhash_str_verify(against, prepared, password.n) == 0; /* of another program */
	if (crypto_pwhash(made, sizeof(made), prepared, password.n, salt, passes, (size_t)memory * 1024,
			  crypto_pwhash_ALG_ARGON2ID13) != 0)
		r = -ENOMEM;
	else
		r = sodium_memcmp(made, hash, sizeof(made)) == 0;
	explicit_bzero(hash, sizeof(hash));
	explicit_bzero(made, sizeof(made));
	return r;
}

static int verify(const struct account_hash *h, struct job *job, const char *prepared)
{
	const char *against = job->against[0] ? job->against : h->dummy;
	int r = compare(against, prepared);

	if (r < 0)
		return r;
	r = r && job->against[0];
	if (r && crypto_pwhash_str_needs_rehash(against, h->setup.opslimit, h->setup.memlimit) != 0)
		if (make_hash(h, prepared, job->done.made.hash) < 0)
			job->done.made.hash[0] = 0;
	if (r && job->want_verifier)
		make_verifier(prepared, &job->done.made.verifier);
	return r;
}

static void run(const struct account_hash *h, struct job *job)
{
	char *prepared = NULL;
	bool ok;

	errno = 0;
	ok = account_prepare_password(slice_of(job->password, job->n), &prepared);
	if (!ok && errno == ENOMEM) {
		job->done.result = -ENOMEM;
	} else if (job->done.kind == ACCOUNT_HASH_VERIFY) {
		/* What cannot be a password takes as long as a wrong one. */
		if (!ok)
			job->against[0] = 0;
		job->done.result = verify(h, job, ok ? prepared : "");
	} else {
		job->done.result = ok ? make_hash(h, prepared, job->done.made.hash) : -EINVAL;
		if (job->done.result == 0)
			job->done.result = make_verifier(prepared, &job->done.made.verifier);
	}
	if (ok)
		account_prepared_free(prepared);
	explicit_bzero(job->password, sizeof(job->password));
}

static void *work(void *arg)
{
	struct account_hash *h = arg;
	struct job *job;
	uint64_t one = 1;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->ending && list_empty(&h->queue))
			pthread_cond_wait(&h->more, &h->lock);
		if (h->ending)
			break;
		job = container_of(h->queue.next, struct job, link);
		list_remove(&job->link);
		h->count.waiting--;
		h->count.running++;
		pthread_mutex_unlock(&h->lock);
		run(h, job);
		pthread_mutex_lock(&h->lock);
		h->count.running--;
		h->count.done++;
		list_push_back(&h->done, &job->link);
		/* Fails only when the counter is full, and then the descriptor is readable. */
		(void)!write(h->wake, &one, sizeof(one));
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

int account_hash_new(const struct account_hash_setup *setup, struct account_hash **ret)
{
	struct account_hash *h = calloc(1, sizeof(*h));
	unsigned char nobody[16];
	int r = -ENOMEM;

	if (!h)
		return -ENOMEM;
	h->setup = *setup;
	if (h->setup.threads == 0)
		h->setup.threads = 1;
	if (h->setup.opslimit == 0)
		h->setup.opslimit = crypto_pwhash_OPSLIMIT_INTERACTIVE;
	if (h->setup.memlimit == 0)
		h->setup.memlimit = crypto_pwhash_MEMLIMIT_INTERACTIVE;
	list_init(&h->queue);
	list_init(&h->done);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->more, NULL);
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->thread = calloc(h->setup.threads, sizeof(*h->thread));
	randombytes_buf(nobody, sizeof(nobody));
	if (h->wake < 0)
		r = -errno;
	else if (h->thread && crypto_pwhash_str(h->dummy, (const char *)nobody, sizeof(nobody),
						h->setup.opslimit, h->setup.memlimit) == 0)
		r = 0;
	if (r < 0) {
		account_hash_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

static void job_free(struct job *job)
{
	explicit_bzero(job, sizeof(*job));
	free(job);
}

static void drop_all(struct list *l)
{
	while (!list_empty(l)) {
		struct list *first = l->next;

		list_remove(first);
		job_free(container_of(first, struct job, link));
	}
}

void account_hash_free(struct account_hash *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->ending = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	for (unsigned i = 0; i < h->threads; i++)
		pthread_join(h->thread[i], NULL);
	drop_all(&h->queue);
	drop_all(&h->done);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->more);
	if (h->wake >= 0)
		close(h->wake);
	free(h->thread);
	free(h);
}

/* Signals are the loop's; a thread that cannot be had is tried again with the next job. */
static int start_threads(struct account_hash *h)
{
	sigset_t all, before;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (r == 0 && h->threads < h->setup.threads) {
		r = pthread_create(&h->thread[h->threads], NULL, work, h);
		if (r == 0)
			h->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return h->threads > 0 ? 0 : -r;
}

static int submit(struct account_hash *h, struct job *job)
{
	int r = start_threads(h);

	pthread_mutex_lock(&h->lock);
	if (r == 0 && h->count.waiting + h->count.running >= (uint64_t)h->setup.queue + h->setup.threads)
		r = -EBUSY;
	if (r == 0) {
		list_push_back(&h->queue, &job->link);
		h->count.waiting++;
		pthread_cond_signal(&h->more);
	} else {
		h->count.refused++;
	}
	pthread_mutex_unlock(&h->lock);
	if (r < 0)
		job_free(job);
	return r;
}

static struct job *job_new(uint64_t token, enum account_hash_kind kind, struct slice password)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	list_init(&job->link);
	job->done.token = token;
	job->done.kind = kind;
	/* Too long: stays empty, which no password is. */
	if (password.n > 0 && password.n <= sizeof(job->password)) {
		memcpy(job->password, password.p, password.n);
		job->n = password.n;
	}
	return job;
}

int account_hash_make(struct account_hash *h, uint64_t token, struct slice password)
{
	struct job *job = job_new(token, ACCOUNT_HASH_MAKE, password);

	return job ? submit(h, job) : -ENOMEM;
}

int account_hash_verify(struct account_hash *h, uint64_t token, struct slice password, const char *hash,
			bool want_verifier)
{
	struct job *job = job_new(token, ACCOUNT_HASH_VERIFY, password);

	if (!job)
		return -ENOMEM;
	job->want_verifier = want_verifier;
	slice_copy(slice_str(hash), job->against, sizeof(job->against));
	return submit(h, job);
}

int account_hash_wake_fd(const struct account_hash *h)
{
	return h->wake;
}

bool account_hash_next(struct account_hash *h, struct account_hash_done *ret)
{
	struct job *job = NULL;
	uint64_t n;

	pthread_mutex_lock(&h->lock);
	if (list_empty(&h->done)) {
		(void)!read(h->wake, &n, sizeof(n)); /* nothing is left: not readable any more */
	} else {
		job = container_of(h->done.next, struct job, link);
		list_remove(&job->link);
	}
	pthread_mutex_unlock(&h->lock);
	if (!job)
		return false;
	*ret = job->done;
	job_free(job);
	return true;
}

void account_hash_count(struct account_hash *h, struct account_hash_counters *ret)
{
	pthread_mutex_lock(&h->lock);
	*ret = h->count;
	pthread_mutex_unlock(&h->lock);
}
