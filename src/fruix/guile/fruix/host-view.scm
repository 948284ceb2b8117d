;;; What a daemon's host view has: asked of the daemon itself, or read from a file.
;;;
;;; A view is an association list, as 'fruix view --scheme NAME' prints it:
;;;
;;;   ((view "base") (fingerprint "…") (system "x86_64-linux") (store "/frx/store")
;;;    (path "/usr/bin" "/bin") (programs "/usr/bin/awk" …))
;;;
;;; The variable FRUIX_HOST_VIEW names a file with one or several of them; without it the daemon is
;;; asked by an operation that only Fruix has, on a connection of its own.  Each is asked for once.

(define-module (fruix host-view)
  #:use-module (guix store)
  #:use-module (guix serialization)
  #:use-module (guix diagnostics)
  #:use-module (guix i18n)
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-34)
  #:export (host-view
            host-view-ref
            host-view-program))

(define %query-host-view #x46520006)    ;the operation's number
(define process-messages (@@ (guix store) process-stderr))
(define flush-requests (@@ (guix store) write-buffered-output))

(define (ask-daemon name)
  "The text that describes the view NAME of the daemon's machine; #f if it is no Fruix daemon."
  (with-store store
    (let ((port (store-connection-socket store)))
      (guard (c ((store-protocol-error? c)
                 (and (not (string-prefix? "invalid operation" (store-protocol-error-message c)))
                      (leave (G_ "~a~%") (store-protocol-error-message c)))))
        (write-int %query-host-view port)
        (write-string name port)
        (force-output port)
        (let loop ()
          (unless (process-messages store)
            (loop)))
        (read-string port)))))

(define (read-all port)
  "All data in PORT."
  (let loop ((found '()))
    (match (read port)
      ((? eof-object?) (reverse found))
      (view (loop (cons view found))))))

(define (find-view name)
  (match (getenv "FRUIX_HOST_VIEW")
    ((or #f "")
     (match (catch 'system-error
              (lambda () (ask-daemon name))
              (const #f))               ;a daemon of another kind closes the connection
       ((? string? text) (call-with-input-string text read))
       (_ (leave (G_ "the daemon at ~a has no host views: start Fruix's, or name a file that \
'fruix view --scheme' wrote in FRUIX_HOST_VIEW~%")
                 (%daemon-socket-uri)))))
    (file
     (or (find (lambda (view) (equal? name (host-view-ref view 'view)))
               (call-with-input-file file read-all))
         (leave (G_ "~a describes no host view '~a'~%") file name)))))

(define host-view
  (let ((known '()))
    (lambda* (name #:optional system)
      "The host view NAME.  Leave if SYSTEM is given and the view's is another."
      (unless (assoc name known)
        (set! known (alist-cons name (find-view name) known)))
      (let* ((view (assoc-ref known name))
             (own (host-view-ref view 'system)))
        (unless (member system (list #f own))
          (leave (G_ "the host view '~a' is that of a ~a machine, not of a ~a one~%") name own system))
        view))))

(define (host-view-ref view key)
  "The value that VIEW has for KEY: a string; of 'path' and 'programs', a list."
  (match (assq key view)
    ((_ values ...) (if (memq key '(path programs)) values (first values)))
    (#f (leave (G_ "the description of the host view has no '~a'~%") key))))

(define (host-view-program view name)
  "The file name of VIEW's program called NAME, or #f."
  (find (lambda (file) (string=? (basename file) name))
        (host-view-ref view 'programs)))
