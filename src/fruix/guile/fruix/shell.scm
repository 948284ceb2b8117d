;;; Scheme of build phases → lines of POSIX shell.
;;;
;;; Phases of Guix's packages are Scheme that runs while a package is built.  Host views have no Guile,
;;; so the code is run when the package is lowered, in a sandbox in which the procedures that would change
;;; files are replaced by some that write down lines of shell, for the builder to run.  What the builder
;;; alone can know (a variable's value, where a program is) is in strings as a shell expansion, between
;;; two marks; it can be joined, passed and written, but not be looked into.  Code that wants more (tests
;;; for files, reading them) meets an unbound variable: that is an error of its phase, with its name.
;;;
;;; 'substitute*' becomes sed's: POSIX extended expressions are the same in both.

(define-module (fruix shell)
  #:use-module (fruix host-view)
  #:use-module ((guix build utils) #:select (modify-phases))
  #:use-module (ice-9 format)
  #:use-module (ice-9 match)
  #:use-module (ice-9 sandbox)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-9)
  #:use-module (srfi srfi-26)
  #:export (expansion
            quoted
            recorded
            emit
            phase-module))

;; Characters for private use: an expansion stands between the first two; the third and a digit are
;; what a group of a regular expression has matched.
(define %open #\xE000)
(define %close #\xE001)
(define %group #\xE002)

(define (expansion text)
  "A string that the builder's shell replaces by what TEXT, such as $out, expands to."
  (string-append (string %open) text (string %close)))

;; Several words that the builder alone knows: TEXT is a command that prints them, a line each.
(define-record-type <words>
  (words text)
  words?
  (text words-text))

(define* (quoted value #:key (special "\"\\`$"))
  "VALUE, a string, as one word of the shell in double quotes."
  (define (next char inside? result)
    (cond ((eqv? char %open) (values #t result))
          ((eqv? char %close) (values #f result))
          (inside? (values #t (cons char result)))
          ((string-index special char) (values #f (cons* char #\\ result)))
          (else (values #f (cons char result)))))
  (let loop ((chars (string->list value)) (inside? #f) (result '()))
    (match chars
      (() (string-append "\"" (list->string (reverse result)) "\""))
      ((char rest ...)
       (call-with-values (cut next char inside? result)
         (cut loop rest <> <>))))))

(define %lines (make-parameter #f))     ;a box with what was written down, last first

(define (emit . parts)
  "Write a line down; strings of PARTS are text, lists are words to be quoted.  Return #t."
  (set-car! (%lines)
            (cons (string-join (append-map (match-lambda
                                             ((? string? text) (list text))
                                             ((? words? some) (list (words->shell some)))
                                             (some (map word some)))
                                           parts))
                  (car (%lines))))
  #t)

(define (words->shell some)
  (string-append "$(" (words-text some) ")"))

(define (word value)
  (match value
    ((? string?) (quoted value))
    ((? words?) (words->shell value))
    ((? number?) (number->string value))
    (_ (error "no word of the shell:" value))))

(define (recorded thunk)
  "The lines of shell that THUNK writes down, as one string."
  (parameterize ((%lines (list '())))
    (thunk)
    (string-join (reverse (car (%lines))) "\n")))

;;; What phases may call.

(define (files-in value)
  (if (list? value) value (list value)))

(define (invoke program . arguments)
  (emit (list (if (string=? program "make") (expansion "$make") program)) arguments))

(define (setenv name value)
  (emit (if value
            (string-append "export " name "=" (quoted value))
            (string-append "unset " name))))

(define (getenv name)
  (expansion (string-append "${" name ":-}")))

(define (delete-file file) (emit "rm -f --" (files-in file)))
(define (delete-file-recursively file) (emit "rm -rf --" (files-in file)))
(define (mkdir-p directory) (emit "mkdir -p --" (list directory)))
(define (symlink target link) (emit "ln -s --" (list target link)))
(define (link old new) (emit "ln --" (list old new)))
(define (rename-file old new) (emit "mv --" (list old new)))
(define (copy-file old new) (emit "cp --" (list old new)))
(define* (copy-recursively old new #:rest _)
  (emit "mkdir -p --" (list new))
  (emit "cp -R --" (list (string-append old "/.") new)))
(define (install-file file directory)
  (emit "mkdir -p --" (list directory))
  (emit "cp --" (list file) (list (string-append directory "/"))))
(define (chmod file mode) (emit "chmod" (number->string mode 8) (list file)))
(define (make-file-writable file) (emit "chmod u+w" (list file)))
(define (chdir directory) (emit "cd" (list directory)))
(define (getcwd) (expansion "$PWD"))
;; Scripts and makefiles find /bin/sh where they say.
(define (patch-nothing . _) #t)

(define (parallel-job-count) (expansion "$NIX_BUILD_CORES"))
(define (display thing . _) (emit "printf '%s'" (list (object->text thing))))
(define (newline . _) (emit "echo"))

(define (object->text thing)
  (if (string? thing) thing (format #f "~a" thing)))

(define (shown-format port . arguments)
  (let ((text (apply format #f arguments)))
    (if port
        (emit "printf '%s'" (list text))
        text)))

(define (number->text number . radix)
  (if (string? number) number (apply number->string number radix)))

(define* (find-files directory #:optional (pattern #f) #:rest _)
  (words (string-append
          "find " (quoted directory) " -type f"
          (match pattern
            (#f "")
            ((? string?) (string-append " | sed -n -E " (quoted (string-append "\\|/[^/]*(" pattern ")[^/]*$|p"))))
            (_ (error "find-files takes a regular expression here, not" pattern)))
          " | LC_ALL=C sort")))

(define (for-every procedure some . more)
  (match some
    ((? words?)
     (emit "for fruix_file in" some)
     (emit "do :")                      ;the procedure may write nothing
     (procedure (expansion "$fruix_file"))
     (emit "done"))
    (_ (apply for-each procedure some more))))

(define-syntax-rule (with-directory-excursion directory body ...)
  (begin
    (emit "(") (emit "cd" (list directory))
    body ...
    (emit ")")))

(define-syntax substitute*
  (syntax-rules ()
    ((_ file ((pattern variable ...) body ...) ...)
     (substitute file (list (cons pattern (clause 0 (variable ...) body ...)) ...)))))

;; A replacement, with marks where matches go.  One binding inside the other, as _ may stand twice.
(define-syntax clause
  (syntax-rules ()
    ((_ number () body ...) (begin body ...))
    ((_ number (variable rest ...) body ...)
     (let ((variable (string %group (integer->char (+ 48 number)))))
       (clause (+ 1 number) (rest ...) body ...)))))

(define (substitute file clauses)
  (emit "substitute"
        (string-join (map (match-lambda ((pattern . replacement) (substitution pattern replacement)))
                          clauses))
        "--" (files-in file)))

(define (substitution pattern replacement)
  "Arguments for sed.  Its lines end in the character with code 2 that stands for the end of a line."
  (define delimiter
    (find (lambda (char)
            (not (or (string-index pattern char) (string-index replacement char))))
          (string->list "|,#%~!@;:")))
  (define (ends text) (string-map (lambda (char) (if (char=? char #\newline) #\x2 char)) text))
  (define (escaped text)
    (string-concatenate
     (map (lambda (char)
            (cond ((memv char '(#\& #\\)) (string #\\ char))
                  ((char=? char %group) "\\")
                  (else (string char))))
          (string->list text))))
  (unless delimiter
    (error "substitute*: no character is left that could separate pattern and replacement" pattern))
  (string-append "-e " (quoted (string-append "s" (string delimiter) (ends pattern) (string delimiter)
                                              (ends (escaped replacement)) (string delimiter) "g"))))

;;; Where they run.

(define %own
  `((invoke . ,invoke) (setenv . ,setenv) (getenv . ,getenv) (delete-file . ,delete-file)
    (delete-file-recursively . ,delete-file-recursively) (mkdir-p . ,mkdir-p) (mkdir . ,mkdir-p)
    (symlink . ,symlink) (link . ,link) (rename-file . ,rename-file) (copy-file . ,copy-file)
    (copy-recursively . ,copy-recursively) (install-file . ,install-file) (chmod . ,chmod)
    (make-file-writable . ,make-file-writable) (chdir . ,chdir) (getcwd . ,getcwd)
    (parallel-job-count . ,parallel-job-count) (display . ,display) (newline . ,newline)
    (patch-makefile-SHELL . ,patch-nothing) (patch-shebang . ,patch-nothing)
    (patch-/usr/bin/file . ,patch-nothing) (format . ,shown-format) (number->string . ,number->text) (find-files . ,find-files)
    (for-each . ,for-every) (const . ,const) (negate . ,negate) (compose . ,compose)))

(define %macros '(modify-phases substitute* with-directory-excursion))

(define (phase-module view inputs)
  "A fresh module in which code of phases is evaluated.  INPUTS: the directories of inputs by label."
  (define (which name)
    (or (host-view-program view name)
        (expansion (string-append "$(command -v " name ")"))))
  (define (search-input kind)
    (lambda (_ file)
      (define name (string-trim file #\/))
      (or (and (string-prefix? "bin/" name) (host-view-program view (basename name)))
          (expansion (string-append "$(search_input " kind " " (quoted name) ")")))))
  (define module (make-sandbox-module all-pure-bindings))
  (define here (resolve-module '(fruix shell)))
  (for-each (lambda (name) (module-use! module (resolve-interface name)))
            '((srfi srfi-26) (ice-9 match)))
  (module-use! module (resolve-interface '(srfi srfi-1) #:hide '(for-each)))
  (for-each (match-lambda ((name . value) (module-define! module name value)))
            `(,@%own
              (which . ,which)
              (search-input-file . ,(search-input "-f"))
              (search-input-directory . ,(search-input "-d"))
              (%build-inputs . ,inputs)))
  (for-each (lambda (name) (module-add! module name (module-variable here name))) %macros)
  module)
