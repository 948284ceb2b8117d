;;; Guix's 'substitute*' as sed's: POSIX extended expressions are the same in both.

(define-module (fruix substitution)
  #:use-module (fruix shell)
  #:use-module (ice-9 match)
  #:use-module (ice-9 regex)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-26)
  #:export (substitute*
            address))

(define-syntax substitute*
  (syntax-rules ()
    ((_ file ((pattern variable ...) body ...) ...)
     (substitute file (list (let ((regexp pattern))
                              (cons regexp (lambda () (clause regexp 0 (variable ...) body ...))))
                            ...)))))

;; A replacement, with marks where matches go.  One binding inside the other, as _ may stand twice.
(define-syntax clause
  (syntax-rules ()
    ((_ regexp number () body ...) (let () body ...))
    ((_ regexp number (variable rest ...) body ...)
     (let ((variable (match-of regexp number)))
       (clause regexp (+ 1 number) (rest ...) body ...)))))

(define (match-of regexp number)
  "What the group NUMBER of REGEXP has matched: the text if there is but one, else a mark."
  (define (between chars) (string-filter (char-set-complement (string->char-set chars)) regexp))
  (cond ((string-match "[].*+?{}|^$\\[]" regexp)
         (string %group (integer->char (+ 48 number))))
        ((zero? number) (between "()"))
        (else (group-text regexp number))))

(define (group-text regexp number)
  "The text of the group NUMBER of REGEXP, in which only parentheses are special."
  (let loop ((chars (string->list regexp)) (opened 0) (open '()) (text '()))
    (match chars
      ((#\( rest ...) (loop rest (+ 1 opened) (cons (+ 1 opened) open) text))
      ((#\) rest ...) (loop rest opened (cdr open) text))
      ((char rest ...) (loop rest opened open (if (memv number open) (cons char text) text)))
      (() (list->string (reverse text))))))

(define (substitute file clauses)
  "Guix's 'substitute*' with CLAUSES, pairs of a pattern and of a thunk that returns what replaces it."
  (define files (if (list? file) file (list file)))
  (define (quiet? thunk)
    (null? (in-case thunk)))
  (cond ((every (compose quiet? cdr) clauses)
         (emit "substitute"
               (string-join (map (match-lambda ((pattern . thunk) (substitution pattern (thunk)))) clauses))
               "--" files))
        ((words? file) (for-each-word (cut substitute <> clauses) file))
        (else
         ;; What a replacement has to find out is found out where the pattern is.
         (for-each (lambda (file) (emit "test -f" (list file))) files)
         (for-each (match-lambda
                     ((pattern . thunk)
                      (choose (condition (string-join (cons* "matches" (quoted (address pattern))
                                                             (map quoted files))))
                              (lambda ()
                                (emit "substitute" (substitution pattern (thunk)) "--" files))
                              (const #t))))
                   clauses))))

(define (delimiter . texts)
  "A character that is in none of TEXTS."
  (or (find (lambda (char) (not (any (cut string-index <> char) texts))) (string->list "|,#%~!@;:"))
      (error "no character is left that could separate patterns:" texts)))

;; Its lines end in the character with code 2 that stands for the end of a line.
(define (ends text) (string-map (lambda (char) (if (char=? char #\newline) #\x2 char)) text))

(define (address pattern)
  (let ((mark (string (delimiter pattern))))
    (string-append "\\" mark (ends pattern) mark)))

(define (substitution pattern replacement)
  "Arguments for 'substitute'."
  (define mark (string (delimiter pattern replacement)))
  (define (escaped text)
    (string-concatenate
     (map (lambda (char)
            (cond ((memv char '(#\& #\\)) (string #\\ char))
                  ((char=? char %group) "\\")
                  (else (string char))))
          (string->list text))))
  (define whole
    (string-concatenate
     (map (match-lambda
            ((text)
             (when (string-prefix? "${" text) ;in an argument's command nobody would see that it isn't set
               (write-line ": \"" text "\""))
             (expansion (string-append "$(sed_text '" mark "' \"" text "\")")))
            (text (ends (escaped text))))
          (pieces replacement))))
  (string-append "-e " (quoted (string-append "s" mark (ends pattern) mark whole mark "g"))))
