;;; Phases of Guix's packages that look into what they build, and what does the same without looking.

(define-module (fruix replacements)
  #:export (replacement))

(define %replacements
  '(;; The view's bzip2 is in nobody's LIBRARY_PATH.
    (("bzip2" hide-input-bzip2)
     (const #t))
    ;; Guix's looks for the library's file; its name follows from the version.
    (("bzip2" install-shared-lib)
     (lambda* (#:key outputs version #:allow-other-keys)
       (let ((lib (string-append (assoc-ref outputs "out") "/lib")))
         (install-file (string-append "libbz2.so." version) lib)
         (with-directory-excursion lib
           (let loop ((base "libbz2.so") (numbers (string-split version #\.)))
             (unless (null? numbers)
               (let ((next (string-append base "." (car numbers))))
                 (symlink next base)
                 (loop next (cdr numbers)))))))))))

(define (replacement package phase)
  "The code that stands for PHASE of the package called PACKAGE; #f if it is run as it is."
  (and=> (assoc-ref %replacements (list package phase)) car))
